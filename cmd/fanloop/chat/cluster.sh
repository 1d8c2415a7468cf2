#!/bin/sh
# Runs three nodes of one chat on this machine, until Ctrl-C. Their stores form a cluster,
# so the chat keeps working when one of them is killed. Arguments go to each node.
#
#   FANLOOP  the program (bin/fanloop of the checkout)
#   DIR      what the nodes keep (.cache/cluster of the checkout)
set -eu
root=$(cd "$(dirname "$0")/../../.." && pwd)
fanloop=${FANLOOP:-$root/bin/fanloop} dir=${DIR:-$root/.cache/cluster}
case $fanloop in /*) ;; */*) fanloop=$PWD/$fanloop ;; esac # what it prints works in any folder
case $dir in /*) ;; *) dir=$PWD/$dir ;; esac
routes=127.0.0.1:6221,127.0.0.1:6222,127.0.0.1:6223
nodes=""
trap 'trap "" INT TERM; kill $nodes 2>/dev/null || true; wait; exit 0' INT TERM

# named begins each line with the name of a node, unless it does already.
named() {
	trap "" INT TERM # until the node has closed its output
	while IFS= read -r line; do
		case $line in "$1"*) echo "$line" ;; *) echo "$1: $line" ;; esac
	done
}

# run runs one node, and says when it stops how to start it again.
run() {
	name=$1
	shift
	status=0
	trap 'kill $pid 2>/dev/null; wait; rm -f "$dir/$name.out"; exit 0' TERM
	trap "" INT # this script stops the nodes
	mkdir -p "$dir"
	rm -f "$dir/$name.out"
	mkfifo "$dir/$name.out"
	named "$name" <"$dir/$name.out" &
	"$@" >"$dir/$name.out" 2>&1 &
	pid=$!
	echo "$name  kill it    kill -9 $pid"
	wait $pid || status=$?
	wait
	rm -f "$dir/$name.out"
	echo
	echo "$name has stopped (status $status). Its clients go on at the other nodes. Start it again, in another terminal:"
	echo "    $*"
}

echo "Three nodes begin to serve in a few seconds, when they have found one another."
echo "Open the pages of two. Kill one: the chat keeps working, and its clients connect to the others."
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
echo "Ctrl-C stops them. Their lines begin with their names:"
wait
