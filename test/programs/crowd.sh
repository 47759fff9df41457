#!/bin/sh
# COUNT short processes, started without waiting for each other; each one's
# command line holds its number.
#   crowd.sh COUNT
number=0
while [ "$number" -lt "$1" ]; do
	/bin/true "crowd-$number" &
	number=$((number + 1))
done
wait
