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
trap 'trap "" INT TERM; kill $nodes 2>/dev/null || true; wait; exit 0' INT TERM

# run runs one node, and says when it ends how to start it again.
run() {
	name=$1
	shift
	status=0
	trap 'kill $pid 2>/dev/null; wait $pid; exit 0' TERM
	trap "" INT # this script ends the nodes
	"$@" &
	pid=$!
	echo "$name  kill it    kill -9 $pid"
	wait $pid || status=$?
	echo
	echo "$name has ended (status $status). Its clients go on at the other nodes. Start it again, in another terminal:"
	echo "    $*"
}

echo "Three nodes begin to serve in a few seconds, when they have found one another."
echo "Open the pages of two. Kill one: the chat goes on, and its clients come to the others."
echo
for i in 1 2 3; do
	set -- "$fanloop" chat --name "node$i" --data-dir "$dir/node$i" --listen "127.0.0.1:80${i}0" --address "http://127.0.0.1:80${i}0" \
		--admin "127.0.0.1:80${i}1" --cluster "127.0.0.1:622$i" --routes "$routes" --log-level error "$@"
	echo "node$i  page       http://127.0.0.1:80${i}0/"
	echo "node$i  operators  http://127.0.0.1:80${i}1/admin"
	run "node$i" "$@" &
	nodes="$nodes $!"
	shift 18
done
echo
echo "Ctrl-C ends them. What they say, begins with their names:"
wait
