/* The functions of LiteRT's C interface that classify.c uses, as libLiteRt of ai-edge-litert 2.3 exports them.
 * A build of LiteRT from source has the whole interface in litert/c/; include those headers instead if you have them.
 * Every function returns 0 (kLiteRtStatusOk) on success. */
#ifndef LITERT_H
#define LITERT_H

#include <stddef.h>

typedef struct LiteRtEnvironmentT *LiteRtEnvironment;
typedef struct LiteRtModelT *LiteRtModel;
typedef struct LiteRtOptionsT *LiteRtOptions;
typedef struct LiteRtCompiledModelT *LiteRtCompiledModel;
typedef struct LiteRtSignatureT *LiteRtSignature;
typedef struct LiteRtTensorT *LiteRtTensor;
typedef struct LiteRtTensorBufferT *LiteRtTensorBuffer;
typedef struct LiteRtTensorBufferRequirementsT *LiteRtTensorBufferRequirements;

/* Only passed on from one function to another. */
typedef struct { char content[512]; } LiteRtRankedTensorType;

enum { LITERT_CPU = 1, LITERT_LOCK_READ = 0, LITERT_LOCK_WRITE = 1 };

int LiteRtCreateEnvironment(int option_count, const void *options, LiteRtEnvironment *environment);
int LiteRtCreateModelFromFile(LiteRtEnvironment environment, const char *path, LiteRtModel *model);
int LiteRtCreateOptions(LiteRtOptions *options);
int LiteRtSetOptionsHardwareAccelerators(LiteRtOptions options, int accelerators);
int LiteRtCreateCompiledModel(LiteRtEnvironment environment, LiteRtModel model, LiteRtOptions options,
                              LiteRtCompiledModel *compiled);
int LiteRtGetModelSignature(LiteRtModel model, size_t index, LiteRtSignature *signature);
int LiteRtGetSignatureInputTensorByIndex(LiteRtSignature signature, size_t index, LiteRtTensor *tensor);
int LiteRtGetSignatureOutputTensorByIndex(LiteRtSignature signature, size_t index, LiteRtTensor *tensor);
int LiteRtGetRankedTensorType(LiteRtTensor tensor, LiteRtRankedTensorType *type);
int LiteRtGetCompiledModelInputBufferRequirements(LiteRtCompiledModel compiled, size_t signature, size_t index,
                                                  LiteRtTensorBufferRequirements *requirements);
int LiteRtGetCompiledModelOutputBufferRequirements(LiteRtCompiledModel compiled, size_t signature, size_t index,
                                                   LiteRtTensorBufferRequirements *requirements);
int LiteRtCreateManagedTensorBufferFromRequirements(LiteRtEnvironment environment, const LiteRtRankedTensorType *type,
                                                    LiteRtTensorBufferRequirements requirements,
                                                    LiteRtTensorBuffer *buffer);
int LiteRtGetTensorBufferPackedSize(LiteRtTensorBuffer buffer, size_t *bytes);
int LiteRtLockTensorBuffer(LiteRtTensorBuffer buffer, void **memory, int mode);
int LiteRtUnlockTensorBuffer(LiteRtTensorBuffer buffer);
int LiteRtRunCompiledModel(LiteRtCompiledModel compiled, size_t signature, size_t input_count,
                           LiteRtTensorBuffer *inputs, size_t output_count, LiteRtTensorBuffer *outputs);

#endif
