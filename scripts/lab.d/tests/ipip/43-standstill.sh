# shellcheck shell=bash
# The only worker stands still under traffic: the process ends with code 3; started again, a download of before goes on.
outlives_standstill ipip 0
