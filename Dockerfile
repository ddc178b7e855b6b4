# Any image with Python 3.11 or newer and a glibc will do as the base, the same for both stages.
ARG BASE=docker.io/library/python:3.12-slim

FROM ${BASE} AS build
WORKDIR /source
COPY requirements/run.txt requirements/run.txt
RUN python3 -m venv /opt/coverbot \
 && /opt/coverbot/bin/pip install --no-cache-dir --no-deps --require-hashes -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY bot bot
COPY cogs cogs
COPY storage storage
COPY sandbox sandbox
RUN /opt/coverbot/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
 && /opt/coverbot/bin/pip check \
 && /opt/coverbot/bin/coverbot --version \
 && rm -r /opt/coverbot/lib/python3.*/site-packages/pip \
 && rm -rf /opt/coverbot/lib/python3.*/site-packages/setuptools /opt/coverbot/lib/python3.*/site-packages/pkg_resources

FROM ${BASE}
RUN useradd --uid 10001 --create-home coverbot \
 && install --directory --owner=coverbot --group=coverbot --mode=0700 /home/coverbot/data
COPY --from=build /opt/coverbot /opt/coverbot
ENV PATH=/opt/coverbot/bin:$PATH PYTHONUNBUFFERED=1 LISTEN_HOST=0.0.0.0 LISTEN_PORT=8080
# By its number, so that an engine can see that it is not root.
USER 10001
WORKDIR /home/coverbot
VOLUME /home/coverbot/data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
  CMD ["coverbot", "health"]
ENTRYPOINT ["coverbot"]
CMD ["run"]
