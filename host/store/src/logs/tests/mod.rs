mod model;
mod property;
mod sentences;
