/* JPEG with libjpeg, PNG with libpng. */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <png.h>

#include "image.h"

void fail(const char *path, const char *reason) {
    fprintf(stderr, "error: %s\n  where: %s\n", reason, path);
    exit(1);
}

static Image blank(const char *path, unsigned width, unsigned height) {
    if (width == 0 || height == 0 || (unsigned long long)width * height > 200000000ull) fail(path, "too many pixels");
    Image image = {(int)width, (int)height, malloc((size_t)width * height * 3)};
    if (image.pixels == NULL) fail(path, "out of memory");
    return image;
}

/* The orientation (1 to 8) in TIFF tags. */
static int orientation_of(const unsigned char *tiff, size_t length) {
    if (length < 14) return 1;
    int little = tiff[0] == 'I';
#define SHORT(at) (little ? tiff[at] | tiff[(at) + 1] << 8 : tiff[at] << 8 | tiff[(at) + 1])
#define LONG(at) (little ? (size_t)SHORT(at) | (size_t)SHORT((at) + 2) << 16 : (size_t)SHORT(at) << 16 | SHORT((at) + 2))
    size_t first = LONG(4);
    if (first > length - 2) return 1;
    int count = SHORT(first);
    for (int entry = 0; entry < count; entry++) {
        size_t place = first + 2 + 12 * (size_t)entry;
        if (place + 12 > length) return 1;
        if (SHORT(place) == 0x0112) return SHORT(place + 8);
    }
    return 1;
#undef SHORT
#undef LONG
}

static Image upright(Image image, int orientation) {
    if (orientation < 2 || orientation > 8) return image;
    int turned = orientation >= 5;
    int mirrored_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    int mirrored_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    Image found = blank("image", turned ? image.height : image.width, turned ? image.width : image.height);
    unsigned char *to = found.pixels;
    for (int y = 0; y < found.height; y++) {
        for (int x = 0; x < found.width; x++) {
            int from_x = turned ? y : x, from_y = turned ? x : y;
            if (mirrored_x) from_x = image.width - 1 - from_x;
            if (mirrored_y) from_y = image.height - 1 - from_y;
            memcpy(to, image.pixels + 3 * ((size_t)from_y * image.width + from_x), 3);
            to += 3;
        }
    }
    free(image.pixels);
    return found;
}

static const char *decoded_path;

static void jpeg_failed(j_common_ptr info) {
    char reason[JMSG_LENGTH_MAX];
    info->err->format_message(info, reason);
    fail(decoded_path, reason);
}

static void jpeg_message(j_common_ptr info, int level) {
    if (level < 0) jpeg_failed(info); /* truncated or damaged */
}

static Image read_jpeg(FILE *file, const char *path, int enough) {
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr errors;
    decoded_path = path;
    info.err = jpeg_std_error(&errors);
    errors.error_exit = jpeg_failed;
    errors.emit_message = jpeg_message;
    jpeg_create_decompress(&info);
    jpeg_stdio_src(&info, file);
    jpeg_save_markers(&info, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(&info, TRUE);
    if (info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK) {
        fail(path, "CMYK images are not supported by this sample");
    }
    int orientation = 1;
    for (jpeg_saved_marker_ptr marker = info.marker_list; marker != NULL; marker = marker->next) {
        if (marker->data_length > 6 && memcmp(marker->data, "Exif\0\0", 6) == 0) {
            orientation = orientation_of(marker->data + 6, marker->data_length - 6);
            break;
        }
    }
    int times = (int)info.image_width / enough, other = (int)info.image_height / enough;
    if (other < times) times = other;
    info.scale_num = 1;
    info.scale_denom = times >= 8 ? 8 : times >= 4 ? 4 : times >= 2 ? 2 : 1;
    info.out_color_space = JCS_RGB;
    jpeg_start_decompress(&info);
    Image image = blank(path, info.output_width, info.output_height);
    while (info.output_scanline < info.output_height) {
        JSAMPROW row = image.pixels + 3 * (size_t)info.output_scanline * info.output_width;
        jpeg_read_scanlines(&info, &row, 1);
    }
    jpeg_finish_decompress(&info);
    jpeg_destroy_decompress(&info);
    return upright(image, orientation);
}

static void png_failed(png_structp png, png_const_charp reason) {
    (void)png;
    fail(decoded_path, reason);
}

static void png_message(png_structp png, png_const_charp reason) {
    (void)png, (void)reason;
}

/* `value` on white, rounded as Pillow does. */
static unsigned char on_white(unsigned value, unsigned alpha) {
    if (alpha == 255) return (unsigned char)value;
    unsigned sum = 128 * (value * alpha + 255 * (255 - alpha) + 128);
    return (unsigned char)((((sum >> 8) + sum) >> 8) >> 7);
}

static Image read_png(FILE *file, const char *path) {
    decoded_path = path;
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, png_failed, png_message);
    png_infop info = png_create_info_struct(png);
    png_init_io(png, file);
    png_read_info(png, info);
    if (png_get_bit_depth(png, info) == 16) fail(path, "convert this image to 8 bits per channel first");
    png_set_expand(png);
    png_set_gray_to_rgb(png);
    png_set_add_alpha(png, 255, PNG_FILLER_AFTER);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    Image image = blank(path, png_get_image_width(png, info), png_get_image_height(png, info));
    size_t stride = 4 * (size_t)image.width;
    unsigned char *content = malloc(stride * image.height);
    png_bytep *rows = malloc(sizeof(png_bytep) * image.height);
    if (content == NULL || rows == NULL) fail(path, "out of memory");
    for (int y = 0; y < image.height; y++) rows[y] = content + y * stride;
    png_read_image(png, rows);
    png_read_end(png, info);
    for (size_t i = 0; i < (size_t)image.width * image.height; i++) {
        for (int channel = 0; channel < 3; channel++) {
            image.pixels[3 * i + channel] = on_white(content[4 * i + channel], content[4 * i + 3]);
        }
    }
    png_bytep exif = NULL;
    png_uint_32 length = 0;
    int orientation = png_get_eXIf_1(png, info, &length, &exif) ? orientation_of(exif, length) : 1;
    free(rows);
    free(content);
    png_destroy_read_struct(&png, &info, NULL);
    return upright(image, orientation);
}

Image read_image(const char *path, int enough) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) fail(path, "cannot read this file");
    unsigned char start[8] = {0};
    if (fread(start, 1, sizeof start, file) < sizeof start) fail(path, "this is not an image");
    rewind(file);
    Image image;
    if (png_sig_cmp(start, 0, sizeof start) == 0) {
        image = read_png(file, path);
    } else if (start[0] == 0xff && start[1] == 0xd8) {
        image = read_jpeg(file, path, enough);
    } else {
        fail(path, "this sample reads JPEG and PNG images");
    }
    fclose(file);
    return image;
}
