# Two stages: the compiler stays behind.
FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked

FROM debian:bookworm-slim
# Certificates of the public authorities, for sources behind TLS.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /var/lib/loggia --create-home loggia
COPY --from=build /src/target/release/loggia /usr/local/bin/loggia
USER loggia
WORKDIR /var/lib/loggia
VOLUME /var/lib/loggia
EXPOSE 8080
# Mount the settings at /etc/loggia/loggia.toml; in them, listen on 0.0.0.0:8080.
HEALTHCHECK --interval=10s --timeout=2s --start-period=5s CMD curl -fsS http://127.0.0.1:8080/health || exit 1
ENTRYPOINT ["loggia"]
CMD ["serve", "--config", "/etc/loggia/loggia.toml"]
