# DATA CHECKOUT COMMAND…: run COMMAND as a container of the manifests runs it, as far as this machine can.
# Called in a mount and a PID namespace of its own: it is process 1, user 10001, with nothing that it may
# write to but /tmp and DATA, which is at /mnt. The checkout and its environment are at /opt.
set -eu
data=$1 checkout=$2
shift 2
mount --bind "$checkout" /opt
mount --bind "$data" /mnt
mount -t tmpfs -o mode=1777 tmpfs /tmp
for place in / /opt; do mount -o remount,bind,ro "$place"; done
cd /opt
# The environment's Python may be in a home that others cannot look into, unlike an image's.
exec setpriv --reuid=10001 --regid=10001 --clear-groups --no-new-privs \
  --inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search --bounding-set=-all,+dac_read_search \
  -- "$@"
