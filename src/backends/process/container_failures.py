"""What Docker and Apptainer say when a container can't be started, each with what to do."""

from __future__ import annotations

from backends.api import Failure
from backends.known_failures import first, known

# Of a container that is started. They are looked for in an engine's log as well, so each must be unmistakable.
OF_CONTAINERS = (
    known(
        r"permission denied while trying to connect to the Docker daemon|dial unix [^\n]*: connect: permission denied",
        "your user may not use Docker's socket: sudo usermod -aG docker $USER and log in again (it then has root's "
        "rights), or take env=apptainer or env=uv, which need none",
    ),
    known(
        r"Cannot connect to the Docker daemon|Is the docker daemon running|error during connect"
        r"|failed to connect to the docker API",
        "no Docker daemon answers: start it (sudo systemctl start docker), or name its socket with "
        "env.container.host=unix:///PATH or DOCKER_HOST",
    ),
    known(
        r"unsatisfied condition: cuda>=(?P<cuda>[\d.]+)",
        "the NVIDIA driver is too old for this image, which is built for CUDA {name}: CUDA 13 needs driver 580 or "
        "newer, CUDA 12 needs 525. Update it, or take an image for an older CUDA",
    ),
    known(
        r"could not select device driver|unknown or invalid runtime name: nvidia|nvidia-container-cli"
        r"|nvidia-container-runtime|Could not find any nv files on this host",
        "the container gets no GPU: install the NVIDIA container toolkit and restart Docker (`docker run --gpus all` "
        "must work), or set env.container.gpus=none",
    ),
    known(
        r"exec (?P<word>\S+) failed: No such file"
        r"|exec: \"?(?P<program>[^\s\":]+)\"?:[^\n]*(?:executable file not found|no such file or directory)",
        "the image has no program {name}: name its interpreter with env.container.python",
    ),
    known(
        r"bind source path does not exist: (?P<path>[^\n]+)",
        "the daemon does not see {name}: it runs on another machine or in a container of its own. Engines in Docker "
        "need a daemon of this machine; env=uv and env=remote don't",
    ),
    known(
        r"(?:Read-only file system|Errno 30)[^\n]*(?:hub|\.cache|huggingface|\.lock|models--)",
        "the model is not in the hub's cache, which the container may not write: download it first (hf download NAME), "
        "or let it: env.container.mounts=[~/.cache/huggingface/hub:rw]",
    ),
    known(
        r"FATAL:[^\n]*(?:could not open image|image format not recognized)",
        "env.container.image is no image of Apptainer's: make one with apptainer build FILE.sif docker://NAME",
    ),
    known(
        r"[Ff]ailed to create user namespace|user namespaces? (?:are |is )?(?:disabled|not (?:enabled|supported))",
        "Apptainer may not make containers for you here: it needs setuid, or user namespaces that are allowed",
    ),
    known(
        r"Error response from daemon:[^\n]*network (?P<network>\S+) not found",
        "Docker has no network {name}: docker network ls lists them; env.container.network=host needs none",
    ),
    known(
        r"unable to find user|no matching entries in passwd file",
        "the image does not know env.container.user: give it as numbers, UID:GID",
    ),
)

# Of an image that is asked for.
_OF_REGISTRIES = (
    known(
        r"pull access denied|manifest (?:for [^\n]* )?unknown|manifest for [^\n]* not found|repository does not exist"
        r"|name unknown",
        "the registry has no such image, or wants a login: check env.container.image, `docker login` for a private one",
    ),
    known(
        r"lookup [^\n]*: (?:no such host|server misbehaving|Temporary failure)|i/o timeout|connection refused"
        r"|Client\.Timeout exceeded|TLS handshake timeout|network is unreachable|x509: ",
        "the registry can't be reached: load the image from a file (docker load), or build it here",
    ),
    known(
        r"no space left on device",
        "the disk of the images is full: docker system df shows what fills it, docker image prune frees some",
    ),
)


def of_image(words: str) -> Failure | None:
    """Return the first known failure in what a command about an image said."""
    return first((*OF_CONTAINERS, *_OF_REGISTRIES), words)
