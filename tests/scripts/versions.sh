# Versions, for scripts that source this from the root of the repository.
version=$(sed -nE '/^\[workspace.package\]/,/^\[/s/^version = "(.*)"$/\1/p' Cargo.toml)
wit_version=$(sed -nE 's/^package .*@(.*);$/\1/p' wit/world.wit)
triple=$(rustc --version --verbose | sed -n 's/^host: //p')
