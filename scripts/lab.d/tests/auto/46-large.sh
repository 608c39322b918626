# shellcheck shell=bash
# 2 MB of JSON: refused with a reason; after a restart the last good answer is used.
bad_server large
says 'large\|MiB\|1048576\|bytes'
kept_through large
