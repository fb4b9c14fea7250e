//! How the repository works inside, and how it is run: the pages of `docs/`.

/// Declares the pages. The links between them are defined before a page's own definitions, so that they lead to the modules here.
macro_rules! pages {
    ($($name:ident: $file:literal)+) => {
        $(
            #[doc = "[architecture]: crate::guide::architecture\n[archive]: crate::guide::archive\n[exec]: crate::guide::exec\n[conformance]: crate::guide::conformance"]
            #[doc = "[file-format]: crate::guide::file_format\n[operations]: crate::guide::operations\n[plugins]: crate::guide::plugins\n[runtimes]: crate::guide::runtimes\n[wit-versions]: crate::guide::wit_versions\n"]
            #[doc = include_str!(concat!("../docs/", $file, ".md"))]
            pub mod $name {}
        )+
    };
}

pages! {
    architecture: "architecture"
    archive: "archive"
    conformance: "conformance"
    exec: "exec"
    file_format: "file-format"
    operations: "operations"
    plugins: "plugins"
    runtimes: "runtimes"
    wit_versions: "wit-versions"
}
