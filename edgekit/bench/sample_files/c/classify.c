/* Classify images: ./classify IMAGE ... */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"
#include "litert.h"
#include "settings.h"

#define CHECK(call) \
    do { \
        int status = (call); \
        if (status != 0) { \
            fprintf(stderr, "error: %s failed with status %d\n", #call, status); \
            exit(1); \
        } \
    } while (0)

static const char *const LABELS[CLASSES] = LABELS_OF_MODEL;

typedef struct {
    LiteRtCompiledModel compiled;
    LiteRtTensorBuffer input, output;
} Classifier;

static Classifier opened(const char *path) {
    Classifier made;
    LiteRtEnvironment environment;
    LiteRtModel model;
    LiteRtOptions options;
    LiteRtSignature signature;
    LiteRtTensor tensor;
    LiteRtRankedTensorType type;
    LiteRtTensorBufferRequirements wanted;
    CHECK(LiteRtCreateEnvironment(0, NULL, &environment));
    CHECK(LiteRtCreateModelFromFile(environment, path, &model));
    CHECK(LiteRtCreateOptions(&options));
    CHECK(LiteRtSetOptionsHardwareAccelerators(options, LITERT_CPU));
    CHECK(LiteRtCreateCompiledModel(environment, model, options, &made.compiled));
    CHECK(LiteRtGetModelSignature(model, 0, &signature));

    CHECK(LiteRtGetSignatureInputTensorByIndex(signature, 0, &tensor));
    CHECK(LiteRtGetRankedTensorType(tensor, &type));
    CHECK(LiteRtGetCompiledModelInputBufferRequirements(made.compiled, 0, 0, &wanted));
    CHECK(LiteRtCreateManagedTensorBufferFromRequirements(environment, &type, wanted, &made.input));

    CHECK(LiteRtGetSignatureOutputTensorByIndex(signature, 0, &tensor));
    CHECK(LiteRtGetRankedTensorType(tensor, &type));
    CHECK(LiteRtGetCompiledModelOutputBufferRequirements(made.compiled, 0, 0, &wanted));
    CHECK(LiteRtCreateManagedTensorBufferFromRequirements(environment, &type, wanted, &made.output));
    return made;
}

/* The probability of each class. The model takes RGB pixels as they are, unsigned 8-bit. */
static void classify(Classifier *model, const Image *image, float probabilities[CLASSES]) {
    void *memory;
    size_t bytes;
    CHECK(LiteRtGetTensorBufferPackedSize(model->input, &bytes));
    if (bytes != (size_t)HEIGHT * WIDTH * 3) fail(MODEL, "the input of the model has another size than settings.h");
    CHECK(LiteRtLockTensorBuffer(model->input, &memory, LITERT_LOCK_WRITE));
    memcpy(memory, image->pixels, bytes);
    CHECK(LiteRtUnlockTensorBuffer(model->input));

    CHECK(LiteRtRunCompiledModel(model->compiled, 0, 1, &model->input, 1, &model->output));

    CHECK(LiteRtGetTensorBufferPackedSize(model->output, &bytes));
    if (bytes != CLASSES * sizeof(OutputValue)) fail(MODEL, "the output of the model has another size than settings.h");
    CHECK(LiteRtLockTensorBuffer(model->output, &memory, LITERT_LOCK_READ));
    const OutputValue *values = memory;
    for (int i = 0; i < CLASSES; i++) probabilities[i] = OUTPUT_SCALE * ((float)values[i] - OUTPUT_ZERO_POINT);
    CHECK(LiteRtUnlockTensorBuffer(model->output));
}

static void print_top(const char *path, const float probabilities[CLASSES]) {
    int used[CLASSES] = {0};
    printf("%s", path);
    for (int rank = 0; rank < 3 && rank < CLASSES; rank++) {
        int best = -1;
        for (int i = 0; i < CLASSES; i++) {
            if (!used[i] && (best < 0 || probabilities[i] > probabilities[best])) best = i;
        }
        used[best] = 1;
        printf("  %s %.2f%%", LABELS[best], 100 * probabilities[best]);
    }
    printf("\n");
}

int main(int count, char **arguments) {
    if (count < 2) {
        fprintf(stderr, "usage: %s IMAGE ...\n", arguments[0]);
        return 2;
    }
    Classifier model = opened(MODEL);
    int side = HEIGHT > WIDTH ? HEIGHT : WIDTH;
    for (int i = 1; i < count; i++) {
        Image image = read_image(arguments[i], 2 * side);
        Image small = resized_image(&image, WIDTH, HEIGHT, RESIZE);
        float probabilities[CLASSES];
        classify(&model, &small, probabilities);
        print_top(arguments[i], probabilities);
        free(image.pixels);
        free(small.pixels);
    }
    return 0;
}
