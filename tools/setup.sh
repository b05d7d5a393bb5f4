#!/bin/sh
# Makes .venv from uv.lock on a machine that has nothing but Python >= 3.11 with pip.
# pip fetches one program, uv, into .bootstrap; uv makes the environment, without ensurepip or the venv
# module and without touching the system's packages (so an "externally managed" Python is fine too).
# Run from the repository's root; PYTHON names the interpreter to use.
set -eu

UV_VERSION=0.13.9
uv=.bootstrap/bin/uv

say() { printf 'set-up: %s\n' "$*" >&2; }

# The first interpreter that is new enough and has pip; what was seen of the others goes to $seen.
find_python() {
    seen=''
    for candidate in "$@"; do
        version=$("$candidate" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || continue
        if ! "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
            seen="$seen $candidate is $version;"
        elif [ ! -x "$uv" ] && ! "$candidate" -m pip --version >/dev/null 2>&1; then
            seen="$seen $candidate ($version) has no pip;"
        else
            python=$candidate
            return 0
        fi
    done
    return 1
}

if [ -n "${PYTHON:-}" ]; then
    set -- "$PYTHON"
else
    set -- python3 python3.11 python3.12 python3.13 python3.14 python
fi
if ! find_python "$@"; then
    say "glassnet needs Python 3.11 or newer with pip; tried: $*.${seen:+ Found:$seen}"
    say "Install one, or name it: make demo PYTHON=/path/to/python3.11"
    exit 1
fi

if [ ! -x "$uv" ] || [ "$("$uv" --version | cut -d' ' -f2)" != "$UV_VERSION" ]; then
    say "fetching uv $UV_VERSION with pip"
    rm -rf .bootstrap
    if ! PIP_USER=0 "$python" -m pip install --quiet --disable-pip-version-check --no-warn-script-location \
        --root-user-action ignore --retries 1 --target .bootstrap "uv==$UV_VERSION"; then
        rm -rf .bootstrap
        say "pip could not fetch uv (its reason is above). The first set-up needs the network to reach PyPI"
        say "(or the mirror that pip is configured for); after that everything works offline. Then run it again."
        exit 1
    fi
fi

say "installing the locked packages into .venv (the first time takes a minute or two)"
# Behind a company's own certificate authority only the system's certificates will do; uv's own are for machines
# that have none.
for bundle in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
    if [ -s "$bundle" ]; then export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"; fi
done
# --inexact keeps what a developer added by hand (PyTorch for the reference tests).
if ! UV_PYTHON_DOWNLOADS=never "$uv" sync --quiet --locked --inexact --python "$(command -v "$python")"; then
    say "uv could not make the environment (its reason is above). If the network was missing, run it again when"
    say "it is there: what was fetched is kept. If uv.lock is out of date: $uv lock"
    exit 1
fi
