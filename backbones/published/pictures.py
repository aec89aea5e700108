"""Image tensors, as published processors make them, to pictures of the native model."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor

from saccade.backbones.checkpoints.config import check_packing
from saccade.backbones.families.family import Family
from saccade.backbones.inputs.pictures import Picture, image_picture, video_picture
from saccade.backbones.inputs.pinpoints import Pair, best_resolution
from saccade.backbones.inputs.tiling import ImagePreprocessor, ProcessedImage
from saccade.backbones.network.network import Network

MODALITIES = ("image", "video", "text")
FORMS = (
    "a list with a tensor (views, 3, S, S) or (3, S, S) for each picture, a tensor (pictures, "
    "views, 3, S, S), or, one view each without newlines, (pictures, 3, S, S)"
)


class PictureForms:
    """Reads the pictures of a call as the published code does.

    Parameters
    ----------
    network : Network
    family : Family
    preprocessor : ImagePreprocessor
        As the object's config is at the time of the call.
    config : mapping
        That config.
    """

    def __init__(
        self,
        network: Network,
        family: Family,
        preprocessor: ImagePreprocessor,
        config: Mapping[str, Any],
    ) -> None:
        self.network, self.family = network, family
        self.preprocessor, self.config = preprocessor, config

    def read(self, images: Any, sizes: Any, modalities: Any) -> list[Picture]:
        """Pictures of a call, not encoded yet.

        Parameters
        ----------
        images : list of Tensor, or Tensor
            One of `FORMS`.
        sizes : sequence of (width, height), or Tensor (n, 2), or None
            Of the original pictures; needed where a picture has several views.
        modalities : list of str
            One for each picture; those that have none are images.

        Raises
        ------
        TypeError, ValueError
            Naming the argument, what it is and what it may be.
        CheckpointError
            If the config asks for a way of packing that is not supported.
        """
        kinds, pairs = _kinds(modalities), _pairs(sizes)
        if isinstance(images, Tensor) and images.ndim == 4:
            each = [self._views(f"images[{k}]", image[None]) for k, image in enumerate(images)]
            return [self._plain(view, _at(pairs, k)) for k, view in enumerate(each)]
        pictures = []
        for k, views in enumerate(self._listed(images)):
            kind = _at(kinds, k) or "image"
            if kind == "text":
                raise ValueError(f"modalities[{k}]='text', but images[{k}] is a picture")
            pictures.append(self._picture(k, views, kind, _at(pairs, k)))
        return pictures

    def _listed(self, images: Any) -> list[Tensor]:
        """Views (V, 3, S, S) of each picture of a list, or of a tensor of five dimensions."""
        listed = isinstance(images, list | tuple)
        if not listed and not (isinstance(images, Tensor) and images.ndim == 5):
            shape = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
            raise TypeError(f"images is {shape}; give {FORMS}, or None for a text")
        if not len(images):
            raise ValueError("images is empty; give None for a text")
        return [self._views(f"images[{k}]", image) for k, image in enumerate(images)]

    def _views(self, name: str, image: Any) -> Tensor:
        tile = self.preprocessor.tile
        if not isinstance(image, Tensor):
            raise TypeError(
                f"{name} is of type {type(image).__name__}; give tensors, as process_images() "
                "makes them, or ask the wrapped model: wrapped.generate(question, [picture])"
            )
        views = image[None] if image.ndim == 3 else image
        if views.ndim != 4 or views.shape[1:] != (3, tile, tile) or not len(views):
            raise ValueError(
                f"{name} has the shape {tuple(image.shape)}; the tower reads views of {tile} "
                f"pixels: (3, {tile}, {tile}) or (views, 3, {tile}, {tile})"
            )
        if not views.is_floating_point():
            raise TypeError(f"{name} is of {views.dtype}; give floats from -1 to 1")
        return views.detach()

    def _plain(self, views: Tensor, size: Pair | None) -> Picture:
        """A picture of one view, of which every patch is a visual token."""
        tile = self.preprocessor.tile
        image = ProcessedImage(views, size or (tile, tile), None, size is not None)
        return image_picture(self.network, image, None)

    def _picture(self, k: int, views: Tensor, kind: str, size: Pair | None) -> Picture:
        """A picture of a list: a video, views of any resolution, or one view and a newline."""
        check_packing(self.config)
        if kind == "video":
            if not self.family.video:
                raise ValueError(
                    f"modalities[{k}]='video': this family reads no videos here; give each frame "
                    "as an image"
                )
            return video_picture(self.network, views)
        self._check_unpad()
        if len(views) == 1:
            tile = self.preprocessor.tile
            image = ProcessedImage(views, size or (tile, tile), None, size is not None)
            return image_picture(self.network, image, None, self.family.pooled, listed=True)
        return self._anyres(k, views, size)

    def _anyres(self, k: int, views: Tensor, size: Pair | None) -> Picture:
        own, n = self.preprocessor, len(views)
        if size is None:
            raise ValueError(
                f"images[{k}] has {n} views, and image_sizes has no entry for it: give the "
                "(width, height) of every picture in pixels"
            )
        if not own.is_anyres:
            raise ValueError(
                f"images[{k}] has {n} views, but config.image_aspect_ratio is {own.aspect!r}: set "
                "it to what the views were made with, or give one view a picture"
            )
        width, height = best_resolution(size, own.pinpoints)
        grid = (width // own.tile, height // own.tile)
        if n != 1 + grid[0] * grid[1]:
            raise ValueError(
                f"images[{k}] has {n} views, but a picture of image_sizes[{k}]={size} has 1 + "
                f"{grid[0]}x{grid[1]} (width, height): give the sizes the views were made from"
            )
        image = ProcessedImage(views, size, grid)
        return image_picture(self.network, image, own.max_tiles, self.family.pooled)

    def _check_unpad(self) -> None:
        merge = str(self.config.get("mm_patch_merge_type") or "flat")
        if merge != "spatial_unpad":
            raise ValueError(
                f"config.mm_patch_merge_type is {merge!r}; pictures in a list are packed as "
                "'spatial_unpad' only: set it, or give a tensor (pictures, 3, S, S)"
            )


def _at(values: Sequence[Any], k: int) -> Any:
    return values[k] if k < len(values) else None


def _kinds(given: Any) -> list[str]:
    kinds = [given] if isinstance(given, str) else list(given or ())
    wrong = [kind for kind in kinds if kind not in MODALITIES]
    if wrong or not kinds:
        raise ValueError(
            f"modalities={given!r}; give a list with 'image' or 'video' for each picture"
        )
    return kinds


def _pairs(given: Any) -> list[Pair]:
    """Sizes as pairs of whole numbers."""
    rows = given.tolist() if isinstance(given, Tensor) else given or ()
    if not isinstance(rows, Iterable) or isinstance(rows, str):
        raise ValueError(
            f"image_sizes={given!r}; give a list with (width, height) of every picture"
        )
    return [_pair(k, row) for k, row in enumerate(rows)]


def _pair(k: int, row: Any) -> Pair:
    try:
        width, height = row.tolist() if isinstance(row, Tensor) else row
        pair = int(width), int(height)
        whole = pair == (width, height) and min(pair) >= 1
    except (TypeError, ValueError, OverflowError):
        whole = False
    if not whole:
        raise ValueError(f"image_sizes[{k}]={row!r}; give (width, height), each 1 or more")
    return pair
