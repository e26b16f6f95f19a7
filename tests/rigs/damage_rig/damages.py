"""What becomes of one file: each way takes it, one of its kind beside it and its earlier self, as bytes."""


def removed(content, beside, earlier):
    return None


def emptied(content, beside, earlier):
    return b"" if content else content


def halved(content, beside, earlier):
    return content[: len(content) // 2]


def swapped(content, beside, earlier):
    return content if beside is None else beside


def taken_from_an_earlier_night(content, beside, earlier):
    return content if earlier is None else earlier


DAMAGES = (removed, emptied, halved, swapped, taken_from_an_earlier_night)


def damaged(files, earlier, name, damage):
    """The files, one of them spoilt (and one beside it, where two are swapped); None where nothing changes.

    Args:
        files: Contents by path.
        earlier: Likewise, after the night before.
        name: The one that is spoilt.
        damage: One of `DAMAGES`.
    """
    content = files[name]
    folder, _, ending = name.rpartition(".")
    folder = folder.rpartition("/")[0]
    others = [
        other
        for other in sorted(files)
        if other != name and other.rpartition("/")[0] == folder and other.endswith(ending)
    ]
    other = next((one for one in others if files[one] != content), None)
    spoilt = damage(content, files.get(other), earlier.get(name))
    if spoilt == content:
        return None
    found = files | {name: spoilt}
    if damage is swapped:
        found[other] = content
    return {path: data for path, data in found.items() if data is not None}


def with_a_bit_flipped(content, rng):
    """The content with one bit of it another one."""
    place = rng.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << rng.randrange(8)]) + content[place + 1 :]
