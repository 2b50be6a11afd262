mod model;
mod property;
mod rotation;
mod sentences;
