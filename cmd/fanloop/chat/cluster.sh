#!/bin/sh
# Runs three nodes of one chat on this machine, until Ctrl-C. Their stores form a cluster,
# so the chat goes on when one of them is killed. Arguments go to each node.
#
#   FANLOOP  the program (bin/fanloop)
#   DIR      what the nodes keep (.cache/cluster)
set -eu
fanloop=${FANLOOP:-bin/fanloop} dir=${DIR:-.cache/cluster}
routes=127.0.0.1:6221,127.0.0.1:6222,127.0.0.1:6223
nodes=""
trap 'kill $nodes 2>/dev/null || true; wait; exit 0' INT TERM
for i in 1 2 3; do
	set -- "$fanloop" chat --name "node$i" --data-dir "$dir/node$i" --listen "127.0.0.1:80${i}0" --address "http://127.0.0.1:80${i}0" \
		--admin "127.0.0.1:80${i}1" --cluster "127.0.0.1:622$i" --routes "$routes" --quiet "$@"
	"$@" &
	nodes="$nodes $!"
	echo "node$i  http://127.0.0.1:80${i}0/  kill -9 $! pulls its plug; this starts it again:"
	echo "       $*"
	shift 17
done
echo "They serve in a few seconds, when they have found one another. Ctrl-C ends them."
wait
