#!/usr/bin/env bash
# The brain MRI study on this machine's CPU: VGG16 and MobileNetV2 from ImageNet weights, and ResNet50V2 from scratch.
#
#   nohup nice -n 10 benchmarks/brain_mri_study.sh DATA WEIGHTS OUT pretrained > study.log 2>&1 &
#   nohup nice -n 10 benchmarks/brain_mri_study.sh DATA WEIGHTS OUT scratch    > scratch.log 2>&1 &
#
# DATA     the Brain Tumor MRI dataset, with Training/ and Testing/
# WEIGHTS  the folder with vgg16_imagenet_notop.weights.h5 and mobilenet_v2_imagenet_notop.weights.h5
# OUT      gets the studies OUT/pretrained and OUT/scratch
#
# Each study resumes when the same command runs again. ResNet50V2 starts from random weights and has a budget of its
# own, so it is a study of its own: nothing in it is paired with the pretrained networks.
#
# Estimated time on two quiet cores, from the processor time of single steps (not measured as a whole): training takes
# 50 minutes for each seed of VGG16 and 20 minutes for each of MobileNetV2 (both strategies, 3 views), so 3.5 hours for
# three seeds; exports about 1 hour, latency and accuracy of all files 2 to 3 hours. ResNet50V2 from scratch takes about
# 2 hours a seed. A cell of fine-tuning needs up to 4 GB of disk while it trains.
#
# DEVICE=auto goes on with networks that benchmarks/gpu_study.py has trained on a GPU.
#
# SEEDS, EPOCHS, SCRATCH_EPOCHS, SIZE, FILES and LIMIT (training images per class) can be set, for a trial run:
#   SEEDS=0 EPOCHS=1 SCRATCH_EPOCHS=1 SIZE=64 LIMIT=12 FILES=tflite-fp32 benchmarks/brain_mri_study.sh DATA WEIGHTS OUT both
set -euo pipefail

if [[ $# -ne 4 ]]; then
    sed -n '2,/^set /p' "$0" | sed -e '$d' -e 's/^# \{0,1\}//'
    exit 2
fi
data=$1 weights=$2 out=$3 part=$4

seeds=${SEEDS:-0,1,2}
epochs=${EPOCHS:-10}
scratch_epochs=${SCRATCH_EPOCHS:-30}
size=${SIZE:-224}
files=${FILES:-tflite-fp32,tflite-fp16,tflite-dynamic,tflite-int8,onnx-fp32,onnx-fp16,onnx-dynamic,onnx-int8}
edgekit=(${PYTHON:-python} -m edgekit)
common=(
    --data "$data"
    --set "data.image_size=$size"
    --set "compare.seeds=[$seeds]"
    --set "export.files=[$files]"
    --set "train.device=${DEVICE:-cpu}"
    ${LIMIT:+--set "data.limit_per_class=$LIMIT"}
)

pretrained() {
    local vgg16="$weights/vgg16_imagenet_notop.weights.h5"
    local mobilenetv2="$weights/mobilenet_v2_imagenet_notop.weights.h5"
    "${edgekit[@]}" compare brain-tumor-mri "${common[@]}" --out "$out/pretrained" \
        --set "compare.backbones=[vgg16, mobilenetv2]" \
        --set "compare.strategies=[feature-extraction, fine-tuning]" \
        --set "compare.overrides={vgg16: {model.weights: $vgg16}, mobilenetv2: {model.weights: $mobilenetv2}}" \
        --set "train.feature_extraction.epochs=$epochs" \
        --set "train.fine_tuning.epochs=$epochs"
}

scratch() {
    "${edgekit[@]}" compare brain-tumor-mri "${common[@]}" --out "$out/scratch" \
        --set "compare.backbones=[resnet50v2]" \
        --set "compare.strategies=[from-scratch]" \
        --set "model.weights=none" \
        --set "train.strategy=from-scratch" \
        --set "train.from_scratch.epochs=$scratch_epochs" \
        --set "train.from_scratch.schedule=cosine" \
        --set "train.early_stopping.enabled=false"
}

case $part in
    pretrained) pretrained ;;
    scratch) scratch ;;
    both) pretrained; scratch ;;
    *) echo "the part must be pretrained, scratch or both, not $part" >&2; exit 2 ;;
esac
