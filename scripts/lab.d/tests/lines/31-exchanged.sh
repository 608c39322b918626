# shellcheck shell=bash
# Another router and prefix, not a word: followed, and the dead router is not gone back to (RFC 4861 7.3.3).
# fails today: after a minute the dead router is gone back to ~ ^[0-9]+ of 100 pings came back from second 50
line_judged exchanged
