# The pages
FROM node:22-bookworm-slim AS web
WORKDIR /src/web
COPY web/package.json web/package-lock.json web/.npmrc ./
RUN npm ci --no-audit --no-fund
COPY web/ ./
RUN npm run build

# The package, with its media engine
FROM rust:1-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3-venv python3-dev \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/build && /opt/build/bin/pip install --no-cache-dir 'maturin>=1.16,<2'
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY rust/ rust/
COPY live777py/ live777py/
COPY --from=web /src/live777py/webui/ live777py/webui/
RUN /opt/build/bin/maturin build --release --out /wheels
RUN python3 -m venv --without-pip /opt/live777py \
    && /opt/build/bin/pip --python /opt/live777py/bin/python install --no-cache-dir /wheels/*.whl

# What runs
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/live777py live777py
COPY --from=build /opt/live777py /opt/live777py
USER live777py
WORKDIR /var/lib/live777py
EXPOSE 7777/tcp 7777/udp
ENTRYPOINT ["/opt/live777py/bin/live777py"]
