# The server, with the same pinned requirements as `make run`.
FROM python:3.12-slim-bookworm

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /opt/tidemark

COPY requirements.txt .
RUN pip install -r requirements.txt

COPY apiserver apiserver
COPY schema schema
COPY config config

# Data (uploads, credentials.json, the lock) lives in a volume that belongs to this user.
RUN useradd --system --create-home --uid 10001 tidemark && install -d -o tidemark -g tidemark /data
USER tidemark
VOLUME /data

ENV TIDEMARK_HOST=0.0.0.0 TIDEMARK_PORT=8008 TIDEMARK_DATA=/data TIDEMARK_AUTH=required
EXPOSE 8008
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=6 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8008/healthz', timeout=4)"]

ENTRYPOINT ["python", "-m", "apiserver"]
CMD ["serve"]
