# shellcheck shell=bash
# xpass: its AFTR by the service's name.
provided pd nothing "dgw.xpass.jp=$AFTR2"
comes_up xpass
traffic
judged xpass "$AFTR2" "$(prefix_of pd 1)"
