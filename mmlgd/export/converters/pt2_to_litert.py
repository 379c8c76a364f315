"""Converts a .pt2 file to LiteRT: a program for the environment of litert-torch.

    python pt2_to_litert.py student.pt2 student.tflite --shape 1 3 224 224

litert-torch asks for releases that mmpretrain cannot be imported beside. So this file
imports nothing of mmlgd, and :mod:`mmlgd.export.formats.litert` calls it with the
interpreter of the other environment.
"""

import argparse

import numpy as np
import torch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('source', help='of torch.export, with example inputs')
    parser.add_argument('out')
    parser.add_argument('--shape', type=int, nargs=4, help='of the images')
    parser.add_argument('--dtype', default='float32', help='of the images')
    parser.add_argument('--calibration', help='(N, 3, H, W) images, for int8')
    args = parser.parse_args()
    import litert_torch

    module = torch.export.load(args.source).module()
    example = torch.zeros(args.shape, dtype=getattr(torch, args.dtype))
    litert_torch.convert(module, (example,)).export(args.out)
    if args.calibration:
        quantise(args.out, np.load(args.calibration))


def quantise(path: str, images: np.ndarray) -> None:
    """Replace a float32 file by one with int8 weights and activations.

    Its inputs and outputs stay float32.
    """
    from ai_edge_quantizer import qtyping, quantizer, recipe

    found = quantizer.Quantizer(path)
    found.load_quantization_recipe(recipe.static_wi8_ai8())
    for place in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
        found.update_quantization_recipe('.*', place, algorithm_key='no_quantize')
    rows = [{'args_0': image[None]} for image in images]
    ranges = found.calibrate({'serving_default': rows})
    found.quantize(ranges).export_model(path, overwrite=True)


if __name__ == '__main__':
    main()
