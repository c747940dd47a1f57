# Postrider as an image: `docker build -t postrider .`. Used by docker-compose.yml; bin/check-image runs the second
# stage in a clean Debian without a container engine.

FROM swift:6.3-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends libpq-dev libcurl4-openssl-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# The dependencies change less often than the sources, and this layer stays as long as they do.
COPY Package.swift Package.resolved* ./
RUN swift package resolve
COPY Sources Sources
COPY Tests Tests
# The options are those of bin/lib/build.sh.
RUN swift build -c release --product postrider --static-swift-stdlib -Xlinker -z -Xlinker pack-relative-relocs \
        -Xswiftc -Xfrontend -Xswiftc -function-sections -Xcc -ffunction-sections -Xcc -fdata-sections \
    && install -D "$(swift build -c release --show-bin-path)/postrider" /out/postrider

# Swift's libraries are inside the binary; libpq and libcurl are Debian's, so that its security updates reach them.
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends libpq5 libcurl4 ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin postrider
COPY --from=build /out/postrider /usr/local/bin/postrider
USER 10001:10001
# Nothing is written to the file system: run it with --read-only.
ENTRYPOINT ["postrider"]
CMD ["worker"]
# Whether the database is reachable and sound, which is the same for every worker: it shows, and should restart nothing
# (--no-healthcheck where an orchestrator would). A receiver (`listen`) has no database and brings a check of its own.
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s --retries=3 CMD ["postrider", "doctor"]
