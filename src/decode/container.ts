/**
 * Container ids in the paths of control groups, as Docker, containerd, CRI-O
 * and podman make them:
 *
 *   /docker/ID · /system.slice/docker-ID.scope · /kubepods/burstable/podUID/ID
 *   /kubepods.slice/…/cri-containerd-ID.scope · …slice:cri-containerd:ID
 *   /machine.slice/libpod-ID.scope/container · /crio-ID
 *
 * An id is 64 hexadecimal digits. The monitor beside a container (conmon) has
 * the id in its group's name and is not in the container.
 */
const CONTAINER = /^(?!.*conmon-)(?:.*[-:])?([0-9a-f]{64})(?:\.scope)?$/;

/** null on the host. Of nested containers the innermost. */
export function containerOf(cgroup: string): string | null {
  for (const component of cgroup.split('/').toReversed()) {
    const id = CONTAINER.exec(component)?.[1];
    if (id !== undefined) return id;
  }
  return null;
}
