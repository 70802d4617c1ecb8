#!/bin/sh
# A capture script without Python: asks, takes and tells over HTTP, with curl and jq. On the machine of the store:
#
#   acqplan serve --store toys.db                                     # or, for other machines to reach it:
#   ACQPLAN_TOKEN=$(openssl rand -hex 16) acqplan serve --store toys.db --host 0.0.0.0
#
# and here, where `capture OBJECT VIEW IMAGE` moves the robot (VIEW is e.g. {"azimuth": 40, "lighting": "L2"}), writes
# the file IMAGE, and prints what it reached as a query, e.g. azimuth=40.3; if it fails, it prints why:
#
#   CAPTURE=./capture URL=http://127.0.0.1:8765 [TOKEN=…] sh examples/http_client.sh
set -eu
URL=${URL:-http://127.0.0.1:8765}
image=$(mktemp)
trap 'rm -f "$image"' EXIT

# Tried again while the service is away, which is safe: telling the same twice changes nothing.
call() { curl -sS --fail-with-body --retry 10 --retry-connrefused -H "Authorization: Bearer ${TOKEN:-}" "$@"; }
post() { call -X POST -H 'Content-Type: application/json' -d "$2" "$URL/$1"; }

while :; do
    answer=$(post ask '{"n": 12}')
    finished=$(printf %s "$answer" | jq -r .finished)
    [ -z "$finished" ] || break
    printf %s "$answer" | jq -c '.shots[]' > "$image.shots"
    [ -s "$image.shots" ] || sleep "${WAIT:-5}" # paused, or all that is left is leased to others
    while read -r shot; do
        id=$(printf %s "$shot" | jq -r '.id | @uri')
        if said=$("$CAPTURE" "$(printf %s "$shot" | jq -r .object)" "$(printf %s "$shot" | jq -c .view)" "$image" < /dev/null)
        then
            call -X PUT --data-binary "@$image" "$URL/shots/$id/image?$said" || echo " $id: not taken" >&2
        else
            post "shots/$id/fail" "$(jq -n --arg reason "$said" '{reason: $reason, retry: true, exposed: false}')"
        fi
        echo
    done < "$image.shots"
done
rm -f "$image.shots"
echo "finished: $finished"
call "$URL/status" | jq -c '{captured, failed, by_class}'
