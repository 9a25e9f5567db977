# DATA MODE CHECKOUT COMMAND…: run COMMAND as a container of the manifests runs it, as far as this machine can.
# Called in a mount and a PID namespace of its own: it is process 1, user 10001, with nothing that it may
# write to but /tmp and, where MODE is rw and not ro, DATA, which is at /mnt. The checkout and its environment are at /opt.
set -eu
data=$1 mode=$2 checkout=$3
shift 3
mount --bind "$checkout" /opt
mount --bind "$data" /mnt
mount -o "remount,bind,$mode" /mnt
mount -t tmpfs -o mode=1777 tmpfs /tmp
for place in / /opt; do mount -o remount,bind,ro "$place"; done
cd /opt
# The environment's Python may be in a home that others cannot look into, unlike an image's.
exec setpriv --reuid=10001 --regid=10001 --clear-groups --no-new-privs \
  --inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search --bounding-set=-all,+dac_read_search \
  -- "$@"
