#!/bin/sh
# Installs what lies beside it, without a network, benches and evaluates; its arguments go to bench. -> results.json
machine="@MACHINE@" pythons="@PYTHONS@"

stop() { # EXIT-CODE SENTENCE
  echo "run.sh: $2" >&2
  exit "$1"
}

CDPATH='' cd -- "$(dirname -- "$0")" || exit
: >results.part || stop 1 "nothing can be written here; copy the bundle to a place that is yours"
rm -f bench.json evaluation.json
[ ! -e results.json ] || mv results.json previous.json # to --compare with
sums=$(LC_ALL=C sha256sum -c SHA256SUMS 2>&1) ||
  stop 4 "damaged: $(echo "$sums" | grep -v -e ': OK$' -e WARNING | head -n 1); copy the bundle again"
[ "$(uname -m)" = "$machine" ] ||
  stop 8 "this board is $(uname -m), the bundle is for $machine; bundle again with another --target"
version=$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])') ||
  stop 5 "this board has no python3; install it (Debian: apt-get install python3 python3-numpy)"
case " $pythons " in
*" $version "*) ;;
*) stop 5 "this board has Python $version, the bundle is for $pythons; bundle again with --python $version" ;;
esac
[ -n "$(ls wheels | grep '^numpy-')" ] || python3 -c 'import numpy' ||
  stop 5 "this board has no numpy, and none is published for it; install it (Debian: apt-get install python3-numpy)"

if [ ! -e venv/installed ]; then
  echo "run.sh: installing" >&2
  python3 -m venv --clear --system-site-packages --without-pip venv ||
    stop 5 "python3 lacks its module venv; install it (Debian: apt-get install python3-venv)"
  PYTHONPATH=$(echo wheels/pip-*.whl) PIP_CONFIG_FILE=/dev/null venv/bin/python -m pip --isolated install --quiet \
    --disable-pip-version-check --no-cache-dir --no-compile --no-index --find-links wheels ghost-edge ||
    stop 5 "the wheels do not install here, see above"
  : >venv/installed
fi

venv/bin/python -m ghost_edge bench . "$@" --json bench.json
bench=$?
evaluate=null
if [ -e images.npz ]; then
  venv/bin/python -m ghost_edge evaluate ./*.tflite --images images.npz --kernels reference --json evaluation.json
  evaluate=$?
fi
{
  printf '{"format": 1, "exit_codes": {"bench": %s, "evaluate": %s},\n"bench": ' "$bench" "$evaluate"
  cat bench.json 2>/dev/null || echo null
  printf ',\n"evaluation": '
  cat evaluation.json 2>/dev/null || echo null
  echo '}'
} >results.part && mv results.part results.json || exit
[ "$bench" != 0 ] || [ "$evaluate" = null ] || exit "$evaluate"
exit "$bench"
