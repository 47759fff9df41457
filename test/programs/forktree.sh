#!/bin/sh
# A tree whose shape and ends are known:
#   forktree.sh          exits 9
#     sh                 exits 3
#     sh                 ended by SIGTERM
#     sh                 exits 5
#       sh               exits 7
#     sh (background)    exits 0, in the working directory /
# Each command line carries a mark by which a test finds it.
sh -c 'exit 3' mark-exit-3
sh -c 'kill -TERM $$' mark-sigterm
sh -c 'sh -c "exit 7" mark-exit-7; exit 5' mark-exit-5
(cd / && exec sh -c 'exit 0' mark-background) &
wait
exit 9
