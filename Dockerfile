# The command line in an image that has no shell, no package manager and no root: `docker build --tag session-repo .`
# Sessions are in the volume /data, unless --store or SESSION_REPO_STORE names another place.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --release --package session-repository --bin session-repo \
    && strip target/release/session-repo \
    && mkdir /data

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/session-repo /usr/local/bin/session-repo
COPY --from=build --chown=65532:65532 /data /data
# By number, so that a cluster can tell that it is not root.
USER 65532:65532
ENV SESSION_REPO_STORE=file:/data/sessions.store
VOLUME ["/data"]
ENTRYPOINT ["/usr/local/bin/session-repo"]
