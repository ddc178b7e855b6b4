# syntax=docker/dockerfile:1
FROM python:3.12-slim AS build
WORKDIR /source
COPY requirements/run.txt requirements/run.txt
RUN python -m venv /opt/coverbot \
 && /opt/coverbot/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY bot bot
COPY cogs cogs
COPY storage storage
COPY sandbox sandbox
RUN /opt/coverbot/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
 && /opt/coverbot/bin/pip check

FROM python:3.12-slim
RUN useradd --system --uid 10001 --home-dir /home/coverbot --create-home coverbot \
 && mkdir /home/coverbot/data && chown coverbot /home/coverbot/data
COPY --from=build /opt/coverbot /opt/coverbot
ENV PATH=/opt/coverbot/bin:$PATH PYTHONUNBUFFERED=1 LISTEN_HOST=0.0.0.0 LISTEN_PORT=8080
USER coverbot
WORKDIR /home/coverbot
VOLUME /home/coverbot/data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"LISTEN_PORT\"]}/readyz', timeout=4)"]
CMD ["coverbot", "run"]
