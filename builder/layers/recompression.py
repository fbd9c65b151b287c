"""`recompressed`: a layer with the same tar, packed as another recipe says. Blocking; one pass, fixed memory."""

import json
from dataclasses import replace

from agent.content.errors import ContentError
from agent.images.stored_blob import stored_layer
from agent.store.store import Store
from builder.layers.layer_output import LayerOutput
from builder.layers.recipes import Recipe
from builder.plan.layer import Layer


def is_packed(layer: Layer, recipe: Recipe) -> bool:
    """As the recipe says, whichever version did it; of a layer that was made elsewhere its type alone is known."""
    if layer.recipe is None or layer.recipe == str(recipe):
        return layer.blob.media_type == recipe.media_type
    try:
        level = json.loads(layer.recipe)["level"]
    except (ValueError, KeyError, TypeError):
        return False
    return layer.blob.media_type == recipe.media_type and level == recipe.level


def recompressed(store: Store, layer: Layer, recipe: Recipe) -> Layer:
    """In the store. Raises ContentError where the layer is damaged or another than it says, DiskError."""
    with store.staging() as staging, LayerOutput(staging.new(), recipe) as output:
        for piece in stored_layer(store, layer.blob.digest):
            output.write(piece)
        made = output.finish()
    if made.diff_id != layer.diff_id:
        raise ContentError(f"layer {layer.blob.digest} is not the {layer.diff_id} that it was recorded as")
    return replace(made, created=layer.created)
