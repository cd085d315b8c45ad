//! What the documentation says is there: the tests that prove something, the fuzz targets.

use std::fs;
use std::path::Path;

/// Pages that name tests as `[`name`](path)`.
const PAGES: [&str; 2] = ["docs/security.md", "docs/differences-from-node.md"];

#[test]
fn tests_that_are_named_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut missing = Vec::new();
    for page in PAGES {
        let text = fs::read_to_string(root.join(page)).unwrap();
        let mut count = 0;
        for (name, target) in links(&text) {
            let path = root.join("docs").join(target);
            let Ok(source) = fs::read_to_string(&path) else {
                if !path.exists() {
                    missing.push(format!("{page}: {target} is not there"));
                }
                continue;
            };
            let (is_test, is_there) = match path.extension().and_then(|extension| extension.to_str()) {
                Some("rs") => (name.is_some(), has_rust_test(&source, name.unwrap_or_default())),
                Some("js") => (name.is_some(), source.contains(name.unwrap_or_default())),
                _ => (false, true),
            };
            count += usize::from(is_test);
            if is_test && !is_there {
                missing.push(format!(
                    "{page}: {target} has no test {}",
                    name.unwrap_or_default()
                ));
            }
        }
        assert!(count > 20, "{page} names {count} tests");
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn fuzz_targets_are_listed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join("fuzz");
    let [page, manifest] =
        ["README.md", "Cargo.toml"].map(|name| fs::read_to_string(folder.join(name)).unwrap());
    for entry in fs::read_dir(folder.join("fuzz_targets")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let target = file.strip_suffix(".rs").unwrap();
        assert!(
            page.contains(&format!("| `{target}` |")),
            "{target} is not in fuzz/README.md"
        );
        assert!(
            manifest.contains(&format!("path = \"fuzz_targets/{file}\"")),
            "{target} is in no manifest"
        );
        assert!(
            folder.join("corpus").join(target).is_dir(),
            "{target} has no corpus"
        );
    }
}

/// Heartbeats and timeouts must not hang on a clock that can be set.
#[test]
fn the_wall_clock_is_read_where_the_guide_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let guide = fs::read_to_string(root.join("docs/faults.md")).unwrap();
    let mut named: Vec<_> = links(&guide)
        .filter_map(|(_, target)| target.strip_prefix("../crates/"))
        .map(str::to_owned)
        .collect();
    let mut reading = Vec::new();
    let crates = fs::read_dir(root.join("crates")).unwrap();
    let mut folders: Vec<_> = crates.map(|entry| entry.unwrap().path().join("src")).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if fs::read_to_string(&path).is_ok_and(|source| source.contains("SystemTime::now")) {
                let path = path.strip_prefix(root.join("crates")).unwrap();
                reading.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    named.sort();
    reading.sort();
    assert_eq!(named, reading);
}

/// Links to files of the repository, with the text where that stands in backticks.
fn links(page: &str) -> impl Iterator<Item = (Option<&str>, &str)> {
    page.match_indices("](").filter_map(|(at, _)| {
        let target = page[at + 2..].split(')').next()?;
        let text = &page[page[..at].rfind('[')? + 1..at];
        let name = text.strip_prefix('`').and_then(|text| text.strip_suffix('`'));
        let is_file = target.starts_with("../") && !target.contains('#');
        is_file.then_some((name, target))
    })
}

/// Whether there is a function of that name with `#[test]`, or `#[tokio::test]`, right above, or within `proptest!`.
fn has_rust_test(source: &str, name: &str) -> bool {
    let Some(at) = source.find(&format!("fn {name}(")) else {
        return false;
    };
    let above = source[..at].rsplit("\n}\n").next().unwrap_or_default();
    above.contains("test")
}
