//! `docker images`.

use bollard_stubs::models::ImageSummary;
use jiff::Timestamp;
use sockerless_ports::registry::Image;

use super::Reference;
use crate::{Engine, Filters, Result, filters, times};

impl Engine {
    /// `GET /images/json`, newest first. `_all` would show intermediate images as well: nothing is built here, so there are none.
    ///
    /// Errors: 400 for an unknown filter, 404 for a `before` or `since` that does not exist.
    pub async fn images(&self, _all: bool, filters: &Filters) -> Result<Vec<ImageSummary>> {
        filters::accept(filters, &["before", "dangling", "label", "label!", "reference", "since", "until"])?;
        let images = self.matching(filters).await?;
        Ok(images.into_iter().map(|(image, names)| self.summary(image, names)).collect())
    }

    /// All images, and how a listing shows them.
    pub(crate) async fn images_with_names(&self) -> Result<Vec<(Image, ImageSummary)>> {
        let all = self.matching(&Filters::new()).await?;
        Ok(all.into_iter().map(|(image, names)| (image.clone(), self.summary(image, names))).collect())
    }

    /// The images that match, newest first, with the names that match.
    pub(super) async fn matching(&self, filters: &Filters) -> Result<Vec<(Image, Shown)>> {
        let values = |name: &str| filters.get(name).cloned().unwrap_or_default();
        let (with, without, patterns) = (values("label"), values("label!"), values("reference"));
        let dangling = filters::flag(filters, "dangling")?;
        let until = times::until(filters, Timestamp::now())?;
        let before = self.created_of(values("before").first()).await?;
        let since = self.created_of(values("since").first()).await?;
        let mut found = Vec::new();
        for image in self.registry.list().await {
            let label = |key: &str| image.config.labels.get(key).map(String::as_str);
            let time = created(&image);
            let names = Shown {
                tags: image.tags.iter().filter(|tag| shown(&patterns, tag)).cloned().collect(),
                digests: image.digests.iter().filter(|digest| shown(&patterns, digest)).cloned().collect(),
            };
            let matches = (patterns.is_empty() || !names.tags.is_empty() || !names.digests.is_empty())
                && dangling.is_none_or(|dangling| image.tags.is_empty() == dangling)
                && filters::labels(&with, label)
                && (without.is_empty() || !filters::labels(&without, label))
                && until.is_none_or(|until| time < until)
                && before.is_none_or(|before| time < before)
                && since.is_none_or(|since| time > since);
            if matches {
                found.push((image, names));
            }
        }
        found.sort_by_cached_key(|(image, _)| (std::cmp::Reverse(created(image)), image.id.clone()));
        Ok(found)
    }

    async fn created_of(&self, reference: Option<&String>) -> Result<Option<Timestamp>> {
        match reference {
            Some(reference) => Ok(Some(created(&self.registry.find(reference).await?))),
            None => Ok(None),
        }
    }

    fn summary(&self, image: Image, names: Shown) -> ImageSummary {
        ImageSummary {
            parent_id: String::new(),
            repo_tags: names.tags,
            repo_digests: names.digests,
            created: created(&image).as_second(),
            size: i64::try_from(image.size).unwrap_or(i64::MAX),
            shared_size: -1,
            virtual_size: None,
            labels: image.config.labels.into_iter().collect(),
            // As in dockerd: not counted.
            containers: -1,
            manifests: None,
            descriptor: None,
            id: image.id,
        }
    }
}

/// The names of an image that a listing shows.
pub(super) struct Shown {
    pub tags: Vec<String>,
    pub digests: Vec<String>,
}

/// When the image was made; 1970 for one that does not say.
pub(super) fn created(image: &Image) -> Timestamp {
    image.created.parse().unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Docker's `reference` filter: a shell pattern over the whole name or over the name without tag.
fn shown(patterns: &[String], name: &str) -> bool {
    let bare = Reference::parse(name).map(|reference| reference.name).unwrap_or_default();
    let short = name.strip_prefix("docker.io/").unwrap_or(name);
    patterns.is_empty() || patterns.iter().any(|pattern| glob(pattern, short) || glob(pattern, &bare))
}

/// `*` and `?` stop at a slash, `[a-z]` is a class, `\` takes the next character as it is.
fn glob(pattern: &str, text: &str) -> bool {
    let mut regex = String::from("^");
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' => regex.push_str("[^/]*"),
            '?' => regex.push_str("[^/]"),
            '[' | ']' | '-' => regex.push(character),
            '\\' => regex.push_str(&regex::escape(&characters.next().map(String::from).unwrap_or_default())),
            other => regex.push_str(&regex::escape(&other.to_string())),
        }
    }
    regex.push('$');
    regex::Regex::new(&regex).is_ok_and(|regex| regex.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_names_with_and_without_tag() {
        let shown = |pattern: &str, name: &str| shown(&[pattern.to_owned()], name);
        assert!(shown("busybox", "busybox:latest"));
        assert!(shown("busy*:l?test", "busybox:latest"));
        assert!(shown("b[a-z]sybox", "busybox:1"));
        assert!(!shown("busy*", "library/busybox/x:1"));
        assert!(!shown("busybox:2", "busybox:1"));
    }
}
