#!/usr/bin/env bash
# Speak over TLS on one machine without containers: `timbre serve` behind nginx, until Ctrl+C or SIGTERM. docs/host.md
#
#   deploy/host/serve_tls.sh NAME [HTTPS_PORT [HTTP_PORT [options of timbre serve]]]
#
# Certificate, key and API keys lie in .timbre/tls and are made where they are missing; put those of your domain there.
set -euo pipefail
cd "$(dirname "$0")/../.."
name=${1:-localhost} https=${2:-443} http=${3:-80}
shift $(($# < 3 ? $# : 3))
PATH=$PWD/.venv/bin:$PATH:/usr/sbin
state=${TIMBRE_TLS_FOLDER:-$PWD/.timbre/tls}
for program in nginx openssl timbre; do
    command -v "$program" >/dev/null || { echo "$program is not installed: make test-deps, make install" >&2; exit 40; }
done

(
    umask 077
    mkdir -p "$state"
    [ -s "$state/api-keys" ] || openssl rand -hex 24 >"$state/api-keys"
    [ -s "$state/tls.crt" ] || openssl req -x509 -newkey rsa:2048 -nodes -days 365 -subj "/CN=$name" \
        -addext "subjectAltName=DNS:$name" -keyout "$state/tls.key" -out "$state/tls.crt" 2>/dev/null
)

work=$(mktemp -d)
chmod 755 "$work" # nginx gives up root, and its workers keep large bodies here
server='' proxy=''
finish() {
    trap - EXIT INT TERM
    # First the door, then the server: it ends what it has begun to say.
    for process in $proxy $server; do
        kill "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap 'finish; exit 0' INT TERM
trap finish EXIT

inner=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
TIMBRE_SERVE_HOST=127.0.0.1 TIMBRE_SERVE_PORT=$inner TIMBRE_SERVE_ALLOWED_HOSTS="$name,127.0.0.1" \
    TIMBRE_SERVE_API_KEYS_FILE="$state/api-keys" timbre serve "$@" &
server=$!

# nginx before 1.25.1 has no directive http2.
version=$(nginx -v 2>&1 | sed 's/.*nginx\/\([0-9.]*\).*/\1/')
http2='http2 on;'
[ "$(printf '%s\n1.25.1\n' "$version" | sort -V | head -n 1)" = 1.25.1 ] || http2=''
{
    printf 'pid %s/nginx.pid;\nerror_log stderr warn;\nevents {}\nhttp {\naccess_log off;\n' "$work"
    for kind in client_body proxy fastcgi uwsgi scgi; do printf '%s_temp_path %s/%s;\n' "$kind" "$work" "$kind"; done
    sed -e "s|\${SERVER_NAME}|$name|g" -e "s|\${UPSTREAMS}|server 127.0.0.1:$inner;|" -e "s|/etc/nginx/tls|$state|" \
        -e "s|listen 443 ssl;|listen $https ssl;|" -e "s|listen 80;|listen $http;|" -e "s|http2 on;|$http2|" \
        deploy/nginx/timbre.conf.template
    printf '}\n'
} >"$work/nginx.conf"
nginx -e stderr -t -q -c "$work/nginx.conf"

until TIMBRE_SERVE_PORT=$inner python3 -m timbre.serving.probe /readyz >/dev/null; do
    kill -0 "$server" 2>/dev/null || { wait "$server" || exit $?; }
    sleep 0.2
done
nginx -e stderr -c "$work/nginx.conf" -g 'daemon off;' &
proxy=$!
echo "timbre: https://$name:$https/ speaks; keys: $state/api-keys, certificate: $state/tls.crt" >&2
wait -n
