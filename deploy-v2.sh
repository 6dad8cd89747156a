#!/usr/bin/env bash
# The seed's name of the command: see deploy.sh.
exec "$(dirname "${BASH_SOURCE[0]}")/deploy.sh" "$@"
