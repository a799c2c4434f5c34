/* Pillow's bilinear resize: weights with 22 bits, one pass across and one down, each rounded to 8 bits. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"
#include "settings.h"

enum { PRECISION_BITS = 22 };

typedef struct {
    int most;     /* weights per place */
    int *weights; /* size * most */
    int *starts, *counts;
} Coefficients;

static void *allocated(size_t bytes) {
    void *memory = calloc(1, bytes ? bytes : 1);
    if (memory == NULL) fail("resize", "out of memory");
    return memory;
}

static Coefficients coefficients(int source, float from, float to, int size) {
    float extent = to - from; /* in single precision, too */
    double scale = (double)extent / size, filter = scale < 1 ? 1 : scale;
    Coefficients found;
    found.most = (int)ceil(filter) * 2 + 1;
    found.weights = allocated(sizeof(int) * size * found.most);
    found.starts = allocated(sizeof(int) * size);
    found.counts = allocated(sizeof(int) * size);
    double *row = allocated(sizeof(double) * found.most);
    for (int place = 0; place < size; place++) {
        double centre = from + (place + 0.5) * scale, sum = 0;
        int start = (int)(centre - filter + 0.5), end = (int)(centre + filter + 0.5);
        if (start < 0) start = 0;
        if (end > source) end = source;
        for (int x = 0; x < end - start; x++) {
            double distance = fabs((x + start - centre + 0.5) * (1.0 / filter));
            row[x] = distance < 1 ? 1 - distance : 0;
            sum += row[x];
        }
        for (int x = 0; x < end - start; x++) {
            double weight = sum != 0 ? row[x] / sum : row[x];
            found.weights[place * found.most + x] = (int)(0.5 + weight * (1 << PRECISION_BITS));
        }
        found.starts[place] = start;
        found.counts[place] = end - start;
    }
    free(row);
    return found;
}

static void release(Coefficients *used) {
    free(used->weights);
    free(used->starts);
    free(used->counts);
}

static unsigned char clipped(int sum) {
    int value = sum >> PRECISION_BITS;
    return (unsigned char)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static Image across(const Image *image, int first, int last, const Coefficients *columns, int width) {
    Image found = {width, last - first, allocated((size_t)(last - first) * width * 3)};
    unsigned char *to = found.pixels;
    for (int y = first; y < last; y++) {
        for (int place = 0; place < width; place++) {
            const unsigned char *from = image->pixels + 3 * ((size_t)y * image->width + columns->starts[place]);
            const int *weights = columns->weights + place * columns->most;
            for (int channel = 0; channel < 3; channel++) {
                int sum = 1 << (PRECISION_BITS - 1);
                for (int x = 0; x < columns->counts[place]; x++) sum += from[3 * x + channel] * weights[x];
                *to++ = clipped(sum);
            }
        }
    }
    return found;
}

static Image down(const Image *image, int offset, const Coefficients *rows, int height) {
    Image found = {image->width, height, allocated((size_t)height * image->width * 3)};
    size_t stride = 3 * (size_t)image->width;
    for (int place = 0; place < height; place++) {
        const unsigned char *from = image->pixels + (rows->starts[place] - offset) * stride;
        const int *weights = rows->weights + place * rows->most;
        for (size_t x = 0; x < stride; x++) {
            int sum = 1 << (PRECISION_BITS - 1);
            for (int y = 0; y < rows->counts[place]; y++) sum += from[y * stride + x] * weights[y];
            found.pixels[place * stride + x] = clipped(sum);
        }
    }
    return found;
}

/* Each pass rounds, so their order matters. Since version 13, Pillow does not always start across. */
static int starts_down(const Image *image, int width, int height) {
    return PILLOW >= 13 && height < image->height && image->height - height > 2 * (image->width - width);
}

/* The part of the image in a box, which Pillow keeps in single precision. */
static Image resized(const Image *image, int width, int height, float left, float top, float right, float bottom) {
    int is_across = left != 0 || right != (float)width || image->width != width;
    int is_down = top != 0 || bottom != (float)height || image->height != height;
    Coefficients rows = coefficients(image->height, top, bottom, height);
    int first = rows.starts[0], last = rows.starts[height - 1] + rows.counts[height - 1];
    Coefficients columns = coefficients(image->width, left, right, width);
    Image found, between;
    if (is_across && is_down && starts_down(image, width, height)) {
        between = down(image, 0, &rows, height);
        found = across(&between, 0, height, &columns, width);
        free(between.pixels);
    } else if (is_across && is_down) {
        between = across(image, first, last, &columns, width);
        found = down(&between, first, &rows, height);
        free(between.pixels);
    } else if (is_across) {
        found = across(image, first, last, &columns, width);
    } else {
        found = down(image, 0, &rows, height); /* which changes nothing if the image has the right size already */
    }
    release(&columns);
    release(&rows);
    return found;
}

static int rounded(double value) {
    return (int)nearbyint(value); /* halves go to the even number */
}

Image resized_image(const Image *image, int width, int height, int how) {
    long long excess = (long long)image->width * height - (long long)image->height * width;
    double old_width = image->width, old_height = image->height;
    if (excess == 0 || how == STRETCH) return resized(image, width, height, 0, 0, old_width, old_height);
    if (how == CROP) {
        double box_width = excess > 0 ? old_height * width / height : old_width;
        double box_height = excess < 0 ? old_width * height / width : old_height;
        double left = (old_width - box_width) / 2, top = (old_height - box_height) / 2;
        return resized(image, width, height, left, top, left + box_width, top + box_height);
    }
    int inner_width = excess > 0 ? width : rounded(old_width * height / old_height);
    int inner_height = excess < 0 ? height : rounded(old_height * width / old_width);
    if (inner_width < 1) inner_width = 1;
    if (inner_height < 1) inner_height = 1;
    Image inner = resized(image, inner_width, inner_height, 0, 0, old_width, old_height);
    Image found = {width, height, allocated((size_t)height * width * 3)};
    int left = (width - inner_width) / 2, top = (height - inner_height) / 2;
    for (int y = 0; y < inner_height; y++) {
        memcpy(found.pixels + 3 * ((size_t)(top + y) * width + left), inner.pixels + 3 * (size_t)y * inner_width,
               3 * (size_t)inner_width);
    }
    free(inner.pixels);
    return found;
}
