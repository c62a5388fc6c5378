#!/usr/bin/env bash
# Write .env and secrets/ with fresh keys and a self-signed certificate, where they are missing. Run it once, then
# replace secrets/tls.* by the certificate of your domain.
set -euo pipefail
cd "$(dirname "$0")"
umask 077
name=${1:-localhost}
mkdir -p secrets
random() { openssl rand -hex "$1"; }
keep() { [ -s "secrets/$1" ] || printf '%s\n' "$2" >"secrets/$1"; }
access=$(random 10) secret=$(random 24)
[ -s .env ] || printf 'S3_ACCESS_KEY=%s\nS3_SECRET_KEY=%s\nSERVER_NAME=%s\n' "$access" "$secret" "$name" >.env
# shellcheck disable=SC1091
. ./.env
keep s3.json "{\"identities\": [{\"name\": \"timbre\", \"credentials\": [{\"accessKey\": \"$S3_ACCESS_KEY\", \"secretKey\": \"$S3_SECRET_KEY\"}], \"actions\": [\"Admin\", \"Read\", \"Write\", \"List\", \"Tagging\"]}]}"
metrics=$(random 24)
[ -s secrets/api-keys ] || { keep metrics-key "$metrics"; printf '%s\n%s\n' "$(random 24)" "$(cat secrets/metrics-key)" >secrets/api-keys; }
keep grafana-password "$(random 12)"
if [ ! -s secrets/tls.crt ]; then
    openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj "/CN=$name" -addext "subjectAltName=DNS:$name" \
        -keyout secrets/tls.key -out secrets/tls.crt 2>/dev/null
fi
# Containers read these as users of their own; the folder itself stays closed to others.
chmod 644 secrets/api-keys secrets/metrics-key secrets/s3.json secrets/grafana-password secrets/tls.crt
echo "ready: docker compose up -d; API key: $(head -n 1 secrets/api-keys)"
