# syntax=docker/dockerfile:1
# The server, its workers and the dashboard in one image: `docker build -t flexiroaster .`

FROM node:24-alpine AS dashboard
WORKDIR /build/frontend
COPY frontend/package.json frontend/package-lock.json frontend/.npmrc ./
RUN npm ci --no-fund --no-audit --loglevel=error
COPY frontend ./
COPY scripts/compress.mjs ../scripts/
RUN npm run --silent build && node ../scripts/compress.mjs dist

FROM python:3.11-slim-bookworm AS libraries
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/flexiroaster
ENV PATH=/opt/flexiroaster/bin:$PATH
COPY backend/requirements-image.lock /build/
RUN pip install --quiet --require-hashes -r /build/requirements-image.lock

FROM libraries AS package
RUN pip install --quiet --target /build/tools hatchling==1.27.0
COPY backend/pyproject.toml backend/README.md /build/backend/
COPY backend/flexiroaster /build/backend/flexiroaster
COPY backend/pipelines /build/backend/flexiroaster/examples
COPY --from=dashboard /build/frontend/dist /build/backend/flexiroaster/web/dist
RUN PYTHONPATH=/build/tools pip install --quiet --no-deps --no-build-isolation /build/backend

FROM python:3.11-slim-bookworm
LABEL org.opencontainers.image.title="FlexiRoaster" \
      org.opencontainers.image.description="Pipelines with a durable engine and a live dashboard" \
      org.opencontainers.image.licenses="MIT"
# A number, not a name: Kubernetes only then knows that it is not root.
RUN groupadd --gid 10001 flexiroaster \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/flexiroaster --no-create-home --shell /usr/sbin/nologin flexiroaster \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/flexiroaster \
    && install -d -o 10001 -g 10001 -m 0750 /files
COPY --from=package /opt/flexiroaster /opt/flexiroaster
ENV PATH=/opt/flexiroaster/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    FLEXIROASTER_DATA_FOLDER=/var/lib/flexiroaster/data \
    FLEXIROASTER_DATA_DIRS=/files \
    FLEXIROASTER_HOST=0.0.0.0 \
    FLEXIROASTER_PORT=8000 \
    FLEXIROASTER_LOG_FORMAT=json
WORKDIR /var/lib/flexiroaster
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=10s --start-period=30s --retries=4 CMD ["flexiroaster", "health"]
# One process that does everything; FLEXIROASTER_PUBLIC_URL says under which address people reach it.
ENTRYPOINT ["flexiroaster"]
CMD ["up"]
