#!/bin/sh
# COUNT short processes, up to 50 at a time; each one's command line holds its number.
#   crowd.sh COUNT
number=0
while [ "$number" -lt "$1" ]; do
	/bin/true "crowd-$number" &
	number=$((number + 1))
	[ $((number % 50)) -eq 0 ] && wait
done
wait
