# The server: the package that `make dist` builds, with the pinned requirements of `make run` and of the extra otel.
FROM python:3.12-slim-bookworm AS build

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/tidemark
WORKDIR /src

COPY requirements-image.txt requirements-build.txt ./
RUN /opt/tidemark/bin/pip install --require-hashes -r requirements-image.txt && pip install --require-hashes -r requirements-build.txt

COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY config config
COPY schema schema
COPY apiserver apiserver
COPY tidemark_events tidemark_events
RUN python -m hatchling build -t wheel -d /dist && /opt/tidemark/bin/pip install --no-deps --no-index /dist/*.whl


FROM python:3.12-slim-bookworm

# Data (uploads, credentials.json, the lock) lives in a volume that belongs to this user.
RUN useradd --create-home --uid 10001 tidemark && install -d -o tidemark -g tidemark /data
COPY --from=build /opt/tidemark /opt/tidemark
RUN ln -s /opt/tidemark/bin/tidemark /usr/local/bin/tidemark
# "container": the server prints no secrets, because what it prints goes to a log.
ENV container=docker PATH=/opt/tidemark/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /data
USER tidemark
VOLUME /data

ENV TIDEMARK_HOST=0.0.0.0 TIDEMARK_PORT=8008 TIDEMARK_DATA=/data TIDEMARK_AUTH=required
EXPOSE 8008
STOPSIGNAL SIGTERM
# In the shell: a Python of its own would cost half a second of CPU each time.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=6 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/${TIDEMARK_PORT:-8008} && printf 'GET /readyz HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && read -r line <&3 && [[ $line == *' 200 '* ]]"]

ENTRYPOINT ["tidemark"]
CMD ["serve"]
