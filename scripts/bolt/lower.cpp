// Makes what rustc hands to the linker (LLVM IR of a program of std Rust, after link-time optimization) acceptable to
// LLVM's BPF back end and to the loader of sBPF v0.
//
//     lower OUT.bc MAIN.bc... [--only-needed LIBRARY.bc...]
//
// The back end has five argument registers and one result register, no 128-bit arithmetic, no signed division, no
// floats, no atomics; the loader has no writable statics. So
//
//     packArguments   passes what does not fit registers through memory of the caller's frame, wide results too
//     Lower           writes wide arithmetic, signed division and floats as calls of compiler_builtins, or plainer
//     moveStatics     puts writable statics to the beginning of the heap, which lies at a fixed address
//     dropUnused      keeps the entrypoint and what it reaches; atomics become plain loads and stores: one thread
//
// Only what is needed of the libraries is linked, again after every round of lowering, as calls appear.
#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InlineAsm.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/IR/ReplaceConstant.h"
#include "llvm/IR/Verifier.h"
#include "llvm/IRReader/IRReader.h"
#include "llvm/Linker/Linker.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Transforms/IPO/GlobalDCE.h"
#include "llvm/Transforms/IPO/Internalize.h"
#include "llvm/Transforms/Scalar/LowerAtomicPass.h"
#include "llvm/Transforms/Utils/LowerAtomic.h"
#include <map>
#include <set>
using namespace llvm;

static const char RT[] = R"(
declare void @sol_memcpy_(ptr, ptr, i64)
declare void @sol_memmove_(ptr, ptr, i64)
declare void @sol_memset_(ptr, i8, i64)
declare void @sol_memcmp_(ptr, ptr, i64, ptr)
declare void @abort() noreturn
define ptr @memcpy(ptr %d, ptr %s, i64 %n) noinline optnone { call void @sol_memcpy_(ptr %d, ptr %s, i64 %n)
 ret ptr %d }
define ptr @memmove(ptr %d, ptr %s, i64 %n) noinline optnone { call void @sol_memmove_(ptr %d, ptr %s, i64 %n)
 ret ptr %d }
define ptr @memset(ptr %d, i32 %c, i64 %n) noinline optnone { %b = trunc i32 %c to i8
 call void @sol_memset_(ptr %d, i8 %b, i64 %n)
 ret ptr %d }
define i32 @memcmp(ptr %a, ptr %b, i64 %n) noinline optnone { %r = alloca i32
 store i32 0, ptr %r
 call void @sol_memcmp_(ptr %a, ptr %b, i64 %n, ptr %r)
 %v = load i32, ptr %r
 ret i32 %v }
define i32 @bcmp(ptr %a, ptr %b, i64 %n) noinline optnone { %v = call i32 @memcmp(ptr %a, ptr %b, i64 %n)
 ret i32 %v }
)";
static const char* KEEP[] = {"entrypoint", "memcpy", "memmove", "memset", "memcmp", "bcmp", "custom_panic"};

// Registers that a value of a type takes.
static unsigned registers(Type* T, const DataLayout& DL) {
    if (T->isVoidTy())
        return 0;
    if (auto* S = dyn_cast<StructType>(T)) {
        unsigned n = 0;
        for (auto* E : S->elements())
            n += registers(E, DL);
        return n;
    }
    if (auto* A = dyn_cast<ArrayType>(T))
        return A->getNumElements() * registers(A->getElementType(), DL);
    return (DL.getTypeSizeInBits(T).getFixedValue() + 63) / 64;
}
// Whether a result is written to memory of the caller.
static bool returnsByPointer(FunctionType* FT, const DataLayout& DL) {
    Type* R = FT->getReturnType();
    return R->isAggregateType() || registers(R, DL) > 1;
}
// Whether arguments do not fit the five registers.
static bool tooManyArguments(FunctionType* FT, const DataLayout& DL) {
    unsigned n = returnsByPointer(FT, DL);
    for (auto* P : FT->params())
        n += registers(P, DL);
    return n > 5 && !FT->isVarArg();
}
// Whether a function is called in another way than LLVM would.
static bool isPacked(FunctionType* FT, const DataLayout& DL) {
    return returnsByPointer(FT, DL) || tooManyArguments(FT, DL);
}
// number of leading params kept in registers; the rest goes through a pointer
static unsigned inRegisters(FunctionType* FT, const DataLayout& DL) {
    if (!tooManyArguments(FT, DL))
        return FT->getNumParams();
    unsigned n = 1 + returnsByPointer(FT, DL), k = 0;
    for (auto* P : FT->params()) {
        n += registers(P, DL);
        if (n > 5)
            break;
        k++;
    }
    return k;
}
// The type of a packed function: pointer to the result, arguments in registers, pointer to the others.
static FunctionType* packedType(FunctionType* FT, const DataLayout& DL) {
    SmallVector<Type*, 8> P;
    unsigned k = inRegisters(FT, DL);
    auto* Ptr = PointerType::get(FT->getContext(), 0);
    bool d = returnsByPointer(FT, DL);
    if (d)
        P.push_back(Ptr);
    for (unsigned i = 0; i < k; i++)
        P.push_back(FT->getParamType(i));
    if (k < FT->getNumParams())
        P.push_back(Ptr);
    return FunctionType::get(d ? Type::getVoidTy(FT->getContext()) : FT->getReturnType(), P, false);
}
// The attributes that still hold of it.
static AttributeList packedAttrs(AttributeList A, FunctionType* FT, const DataLayout& DL) {
    LLVMContext& C = FT->getContext();
    bool d = returnsByPointer(FT, DL);
    unsigned k = inRegisters(FT, DL);
    SmallVector<AttributeSet, 8> P;
    if (d)
        P.push_back(AttributeSet());
    for (unsigned i = 0; i < k; i++) {
        AttrBuilder B(C, A.getParamAttrs(i));
        B.removeAttribute(Attribute::StructRet);
        B.removeAttribute(Attribute::Returned);
        P.push_back(AttributeSet::get(C, B));
    }
    if (k < FT->getNumParams())
        P.push_back(AttributeSet());
    AttrBuilder B(C, A.getFnAttrs());
    B.removeAttribute(Attribute::Memory);
    return AttributeList::get(C, AttributeSet::get(C, B), d ? AttributeSet() : A.getRetAttrs(), P);
}
static uint64_t slotSize(Type* T, const DataLayout& DL) {
    return alignTo(DL.getTypeAllocSize(T).getFixedValue(), 8);
}

// Packs every function and call that needs it; how many functions.
static unsigned packArguments(Module& M) {
    auto& DL = M.getDataLayout();
    unsigned cnt = 0;
    SmallVector<Function*, 64> Fs;
    for (auto& F : M)
        if (!F.isDeclaration() && isPacked(F.getFunctionType(), DL))
            Fs.push_back(&F);
    for (Function* F : Fs) {
        auto* FT = F->getFunctionType();
        unsigned k = inRegisters(FT, DL), d = returnsByPointer(FT, DL);
        Function* N = Function::Create(packedType(FT, DL), F->getLinkage(), F->getAddressSpace(), "", &M);
        N->takeName(F);
        N->setCallingConv(F->getCallingConv());
        N->setVisibility(F->getVisibility());
        N->setDSOLocal(F->isDSOLocal());
        N->setUnnamedAddr(F->getUnnamedAddr());
        N->setComdat(F->getComdat());
        N->setAttributes(packedAttrs(F->getAttributes(), FT, DL));
        N->splice(N->begin(), F);
        IRBuilder<> B(&*N->getEntryBlock().getFirstInsertionPt());
        uint64_t off = 0;
        for (unsigned i = 0; i < FT->getNumParams(); i++) {
            Argument* A = F->getArg(i);
            if (i < k) {
                N->getArg(i + d)->takeName(A);
                A->replaceAllUsesWith(N->getArg(i + d));
                continue;
            }
            Type* T = A->getType();
            Value* L = B.CreateAlignedLoad(T, B.CreateConstGEP1_64(B.getInt8Ty(), N->getArg(k + d), off), Align(8));
            A->replaceAllUsesWith(L);
            off += slotSize(T, DL);
        }
        if (d)
            for (auto& BB : *N)
                if (auto* RI = dyn_cast<ReturnInst>(BB.getTerminator())) {
                    IRBuilder<> RB(RI);
                    RB.CreateAlignedStore(RI->getReturnValue(), N->getArg(0), Align(8));
                    RB.CreateRetVoid();
                    RI->eraseFromParent();
                }
        F->replaceAllUsesWith(N);
        F->eraseFromParent();
        cnt++;
    }
    for (auto& F : M) {
        SmallVector<CallBase*, 16> Cs;
        uint64_t max = 0, rmax = 0;
        for (auto& I : instructions(F))
            if (auto* CB = dyn_cast<CallBase>(&I)) {
                auto* FT = CB->getFunctionType();
                if (isa<IntrinsicInst>(CB) || CB->isInlineAsm() || !isPacked(FT, DL))
                    continue;
                if (auto* Cal = CB->getCalledFunction())
                    if (Cal->isDeclaration()) {
                        errs() << "extern with >5 args or wide result: " << Cal->getName() << "\n";
                        continue;
                    }
                uint64_t off = 0;
                for (unsigned i = inRegisters(FT, DL); i < FT->getNumParams(); i++)
                    off += slotSize(FT->getParamType(i), DL);
                max = std::max(max, off);
                if (returnsByPointer(FT, DL))
                    rmax = std::max(rmax, slotSize(FT->getReturnType(), DL));
                Cs.push_back(CB);
            }
        if (Cs.empty())
            continue;
        IRBuilder<> EB(&*F.getEntryBlock().getFirstInsertionPt());
        AllocaInst *Buf = nullptr, *Ret = nullptr;
        if (max) {
            Buf = EB.CreateAlloca(ArrayType::get(EB.getInt64Ty(), max / 8), nullptr, "argpack");
            Buf->setAlignment(Align(8));
        }
        if (rmax) {
            Ret = EB.CreateAlloca(ArrayType::get(EB.getInt64Ty(), rmax / 8), nullptr, "retpack");
            Ret->setAlignment(Align(8));
        }
        for (CallBase* CB : Cs) {
            auto* FT = CB->getFunctionType();
            unsigned k = inRegisters(FT, DL);
            bool d = returnsByPointer(FT, DL);
            IRBuilder<> B(CB);
            SmallVector<Value*, 8> Args;
            uint64_t off = 0;
            if (d)
                Args.push_back(Ret);
            for (unsigned i = 0; i < FT->getNumParams(); i++) {
                Value* V = CB->getArgOperand(i);
                if (i < k) {
                    Args.push_back(V);
                    continue;
                }
                B.CreateAlignedStore(V, B.CreateConstGEP1_64(B.getInt8Ty(), Buf, off), Align(8));
                off += slotSize(V->getType(), DL);
            }
            if (k < FT->getNumParams())
                Args.push_back(Buf);
            CallInst* NC = B.CreateCall(packedType(FT, DL), CB->getCalledOperand(), Args);
            NC->setCallingConv(CB->getCallingConv());
            NC->setAttributes(packedAttrs(CB->getAttributes(), FT, DL));
            NC->setDebugLoc(CB->getDebugLoc());
            if (d)
                CB->replaceAllUsesWith(B.CreateAlignedLoad(FT->getReturnType(), Ret, Align(8)));
            else if (!CB->getType()->isVoidTy())
                CB->replaceAllUsesWith(NC);
            CB->eraseFromParent();
        }
        for (auto& I : instructions(F))
            if (auto* CI = dyn_cast<CallInst>(&I))
                if (CI->isTailCall())
                    CI->setTailCallKind(CallInst::TCK_None);
    }
    return cnt;
}

// Rewrites single operations that BPF has not.
struct Lower {
    Module& M;
    LLVMContext& C;
    const DataLayout& DL;
    std::map<Function*, std::vector<AllocaInst*>> pool;
    Lower(Module& M) : M(M), C(M.getContext()), DL(M.getDataLayout()) {
    }
    AllocaInst* slot(Function* F, unsigned i) { // 16 byte scratch slots, one set per function
        auto& v = pool[F];
        while (v.size() <= i) {
            IRBuilder<> B(&*F->getEntryBlock().getFirstInsertionPt());
            auto* A = B.CreateAlloca(ArrayType::get(B.getInt64Ty(), 2));
            A->setAlignment(Align(8));
            v.push_back(A);
        }
        return v[i];
    }
    // builtin of compiler_builtins, rustc's BPF C ABI: 128 bit values by pointer
    Value* libraryCall(IRBuilder<>& B, StringRef name, Type* R, ArrayRef<Value*> args) {
        Function* F = B.GetInsertBlock()->getParent();
        SmallVector<Type*, 4> PT;
        SmallVector<Value*, 4> A;
        unsigned s = 0;
        bool ind = DL.getTypeSizeInBits(R) > 64;
        AllocaInst* ret = nullptr;
        if (ind) {
            ret = slot(F, s++);
            PT.push_back(B.getPtrTy());
            A.push_back(ret);
        }
        for (Value* V : args)
            if (DL.getTypeSizeInBits(V->getType()) > 64) {
                auto* S = slot(F, s++);
                B.CreateAlignedStore(V, S, Align(8));
                PT.push_back(B.getPtrTy());
                A.push_back(S);
            } else {
                PT.push_back(V->getType());
                A.push_back(V);
            }
        auto* FT = FunctionType::get(ind ? B.getVoidTy() : R, PT, false);
        auto Callee = M.getOrInsertFunction(name, FT);
        auto* CI = B.CreateCall(FT, Callee.getCallee(), A);
        return ind ? (Value*)B.CreateAlignedLoad(R, ret, Align(8)) : CI;
    }
    Value* wideShift(IRBuilder<>& B, unsigned op, Value* a, Value* n) { // variable 128 bit shift
        Type *W = a->getType(), *I = B.getInt64Ty();
        Value *lo = B.CreateTrunc(a, I), *hi = B.CreateTrunc(B.CreateLShr(a, ConstantInt::get(W, 64)), I);
        Value *s = B.CreateFreeze(B.CreateTrunc(n, I)), *m = B.CreateAnd(s, B.getInt64(63)),
              *r = B.CreateXor(m, B.getInt64(63)), *big = B.CreateICmpNE(B.CreateAnd(s, B.getInt64(64)), B.getInt64(0));
        Value *z = B.getInt64(0), *one = B.getInt64(1), *L, *H;
        if (op == Instruction::Shl) {
            Value *l = B.CreateShl(lo, m), *h = B.CreateOr(B.CreateShl(hi, m), B.CreateLShr(B.CreateLShr(lo, one), r));
            L = B.CreateSelect(big, z, l);
            H = B.CreateSelect(big, l, h);
        } else {
            bool ar = op == Instruction::AShr;
            Value *h = ar ? B.CreateAShr(hi, m) : B.CreateLShr(hi, m),
                  *l = B.CreateOr(B.CreateLShr(lo, m), B.CreateShl(B.CreateShl(hi, one), r));
            Value* f = ar ? B.CreateAShr(hi, B.getInt64(63)) : z;
            L = B.CreateSelect(big, h, l);
            H = B.CreateSelect(big, f, h);
        }
        return B.CreateOr(B.CreateZExt(L, W), B.CreateShl(B.CreateZExt(H, W), ConstantInt::get(W, 64)));
    }
    Value* wideProduct(IRBuilder<>& B, Type* T, Value* a, Value* b) { // iN, N > 128, by 64 bit limbs
        unsigned N = (T->getIntegerBitWidth() + 63) / 64;
        Type* W = B.getInt128Ty();
        auto limbs = [&](Value* v) {
            unsigned n = N;
            if (auto* Z = dyn_cast<ZExtInst>(v))
                n = (Z->getSrcTy()->getIntegerBitWidth() + 63) / 64;
            return n;
        };
        unsigned na = limbs(a), nb = limbs(b);
        Value* R = ConstantInt::get(T, 0);
        auto limb = [&](Value* v, unsigned i) {
            return B.CreateZExt(B.CreateTrunc(B.CreateLShr(v, ConstantInt::get(T, 64 * i)), B.getInt64Ty()), W);
        };
        for (unsigned i = 0; i < na; i++)
            for (unsigned j = 0; j < nb && i + j < N; j++)
                R = B.CreateAdd(
                    R, B.CreateShl(B.CreateZExtOrTrunc(libraryCall(B, "__multi3", W, {limb(a, i), limb(b, j)}), T),
                                   ConstantInt::get(T, 64 * (i + j))));
        return R;
    }
    Value* magnitude(IRBuilder<>& B, Value* V) {
        Value* z = ConstantInt::get(V->getType(), 0);
        return B.CreateSelect(B.CreateICmpSLT(V, z), B.CreateSub(z, V), V);
    }
    Value* opaque(IRBuilder<>& B, Value* V) {
        return B.CreateCall(InlineAsm::get(FunctionType::get(V->getType(), {V->getType()}, false), "", "=r,0", false),
                            {V});
    }
    Value* productOverflows(IRBuilder<>& B, Value* a, Value* b) { // i64 only
        Value* p = B.CreateMul(a, b);
        Value *z = ConstantInt::get(a->getType(), 0), *one = ConstantInt::get(a->getType(), 1);
        Value* nz = B.CreateICmpNE(a, z);
        Value* d = B.CreateSelect(nz, a, one);
        return B.CreateAnd(nz, B.CreateICmpNE(B.CreateUDiv(opaque(B, p), d), b));
    }
    unsigned run() {
        unsigned n = 0;
        SmallVector<Instruction*, 256> W;
        for (auto& F : M)
            for (auto& I : instructions(F))
                W.push_back(&I);
        for (auto* I : W)
            if (lower(I))
                n++;
        return n;
    }
    bool lower(Instruction* I) {
        Type* T = I->getType();
        IRBuilder<> B(I);
        Value* R = nullptr;
        if (auto* BO = dyn_cast<BinaryOperator>(I)) {
            Value *a = BO->getOperand(0), *b = BO->getOperand(1);
            bool i128 = T->isIntegerTy() && T->getIntegerBitWidth() > 64;
            if (i128 && T->getIntegerBitWidth() != 128) {
                unsigned op = BO->getOpcode(), bw = T->getIntegerBitWidth();
                if (op == Instruction::Mul && bw > 128)
                    R = wideProduct(B, T, a, b);
                else if (bw > 128)
                    return false;
                else if (op == Instruction::Mul || op == Instruction::UDiv || op == Instruction::URem) {
                    Type* W = B.getInt128Ty();
                    const char* nm = op == Instruction::Mul    ? "__multi3"
                                     : op == Instruction::UDiv ? "__udivti3"
                                                               : "__umodti3";
                    R = B.CreateTrunc(libraryCall(B, nm, W, {B.CreateZExt(a, W), B.CreateZExt(b, W)}), T);
                }
            } else
                switch (BO->getOpcode()) {
                case Instruction::Shl:
                case Instruction::LShr:
                case Instruction::AShr:
                    if (i128 && !isa<Constant>(b))
                        R = wideShift(B, BO->getOpcode(), a, b);
                    break;
                case Instruction::Mul:
                    if (i128)
                        R = libraryCall(B, "__multi3", T, {a, b});
                    break;
                case Instruction::UDiv:
                    if (i128)
                        R = libraryCall(B, "__udivti3", T, {a, b});
                    break;
                case Instruction::URem:
                    if (i128)
                        R = libraryCall(B, "__umodti3", T, {a, b});
                    break;
                case Instruction::SDiv:
                case Instruction::SRem: {
                    bool rem = BO->getOpcode() == Instruction::SRem;
                    if (i128) {
                        R = libraryCall(B, rem ? "__modti3" : "__divti3", T, {a, b});
                        break;
                    }
                    if (!T->isIntegerTy())
                        break;
                    Value *z = ConstantInt::get(T, 0), *ua = magnitude(B, a), *ub = magnitude(B, b);
                    Value* q = rem ? B.CreateURem(ua, ub) : B.CreateUDiv(ua, ub);
                    Value* neg = B.CreateICmpSLT(rem ? a : B.CreateXor(a, b), z);
                    R = B.CreateSelect(neg, B.CreateSub(z, q), q);
                    break;
                }
                case Instruction::FAdd:
                    R = floatCall(B, "add", T, a, b);
                    break;
                case Instruction::FSub:
                    R = floatCall(B, "sub", T, a, b);
                    break;
                case Instruction::FMul:
                    R = floatCall(B, "mul", T, a, b);
                    break;
                case Instruction::FDiv:
                    R = floatCall(B, "div", T, a, b);
                    break;
                case Instruction::FRem:
                    if (T->isDoubleTy())
                        R = libraryCall(B, "fmod", T, {a, b});
                    else if (T->isFloatTy())
                        R = libraryCall(B, "fmodf", T, {a, b});
                    break;
                default:
                    break;
                }
        } else if (auto* U = dyn_cast<UnaryOperator>(I)) {
            if (U->getOpcode() == Instruction::FNeg && (T->isDoubleTy() || T->isFloatTy())) {
                Type* IT = B.getIntNTy(T->getPrimitiveSizeInBits());
                R = B.CreateBitCast(B.CreateXor(B.CreateBitCast(U->getOperand(0), IT),
                                                ConstantInt::get(IT, APInt::getSignMask(IT->getIntegerBitWidth()))),
                                    T);
            }
        } else if (auto* CI = dyn_cast<CastInst>(I)) {
            Value* a = CI->getOperand(0);
            Type* S = a->getType();
            auto fk = [](Type* t) { return t->isDoubleTy() ? "df" : t->isFloatTy() ? "sf" : (const char*)nullptr; };
            auto iw = [](unsigned w) { return w <= 32 ? 32u : w <= 64 ? 64u : 128u; };
            auto sfx = [](unsigned w) { return w == 32 ? "si" : w == 64 ? "di" : "ti"; };
            switch (CI->getOpcode()) {
            case Instruction::UIToFP:
            case Instruction::SIToFP:
                if (fk(T) && S->isIntegerTy()) {
                    bool u = CI->getOpcode() == Instruction::UIToFP;
                    unsigned w = iw(S->getIntegerBitWidth());
                    Type* W = B.getIntNTy(w);
                    Value* x = u ? B.CreateZExt(a, W) : B.CreateSExt(a, W);
                    R = libraryCall(B, (Twine("__float") + (u ? "un" : "") + sfx(w) + fk(T)).str(), T, {x});
                }
                break;
            case Instruction::FPToUI:
            case Instruction::FPToSI:
                if (fk(S) && T->isIntegerTy()) {
                    bool u = CI->getOpcode() == Instruction::FPToUI;
                    unsigned w = iw(T->getIntegerBitWidth());
                    Type* W = B.getIntNTy(w);
                    R = B.CreateTrunc(
                        libraryCall(B, (Twine("__fix") + (u ? "uns" : "") + fk(S) + sfx(w)).str(), W, {a}), T);
                }
                break;
            case Instruction::FPExt:
                if (S->isFloatTy() && T->isDoubleTy())
                    R = libraryCall(B, "__extendsfdf2", T, {a});
                break;
            case Instruction::FPTrunc:
                if (S->isDoubleTy() && T->isFloatTy())
                    R = libraryCall(B, "__truncdfsf2", T, {a});
                break;
            default:
                break;
            }
        } else if (auto* FC = dyn_cast<FCmpInst>(I)) {
            Value *a = FC->getOperand(0), *b = FC->getOperand(1);
            Type* S = a->getType();
            if (S->isDoubleTy() || S->isFloatTy()) {
                std::string k = S->isDoubleTy() ? "df2" : "sf2";
                Type* i32 = B.getInt32Ty();
                Value* z = B.getInt32(0);
                auto p = FC->getPredicate();
                auto un = [&] { return B.CreateICmpNE(libraryCall(B, "__unord" + k, i32, {a, b}), z); };
                auto ord = [&](CmpInst::Predicate q) -> Value* {
                    switch (q) {
                    case CmpInst::FCMP_OEQ:
                        return B.CreateICmpEQ(libraryCall(B, "__eq" + k, i32, {a, b}), z);
                    case CmpInst::FCMP_OGT:
                        return B.CreateICmpSGT(libraryCall(B, "__gt" + k, i32, {a, b}), z);
                    case CmpInst::FCMP_OGE:
                        return B.CreateICmpSGE(libraryCall(B, "__ge" + k, i32, {a, b}), z);
                    case CmpInst::FCMP_OLT:
                        return B.CreateICmpSLT(libraryCall(B, "__lt" + k, i32, {a, b}), z);
                    case CmpInst::FCMP_OLE:
                        return B.CreateICmpSLE(libraryCall(B, "__le" + k, i32, {a, b}), z);
                    default:
                        return nullptr;
                    }
                };
                switch (p) {
                case CmpInst::FCMP_FALSE:
                    R = B.getFalse();
                    break;
                case CmpInst::FCMP_TRUE:
                    R = B.getTrue();
                    break;
                case CmpInst::FCMP_UNO:
                    R = un();
                    break;
                case CmpInst::FCMP_ORD:
                    R = B.CreateNot(un());
                    break;
                case CmpInst::FCMP_ONE:
                    R = B.CreateNot(B.CreateOr(un(), ord(CmpInst::FCMP_OEQ)));
                    break;
                case CmpInst::FCMP_UEQ:
                    R = B.CreateOr(un(), ord(CmpInst::FCMP_OEQ));
                    break;
                case CmpInst::FCMP_UNE:
                    R = B.CreateNot(ord(CmpInst::FCMP_OEQ));
                    break;
                case CmpInst::FCMP_UGT:
                    R = B.CreateNot(ord(CmpInst::FCMP_OLE));
                    break;
                case CmpInst::FCMP_UGE:
                    R = B.CreateNot(ord(CmpInst::FCMP_OLT));
                    break;
                case CmpInst::FCMP_ULT:
                    R = B.CreateNot(ord(CmpInst::FCMP_OGE));
                    break;
                case CmpInst::FCMP_ULE:
                    R = B.CreateNot(ord(CmpInst::FCMP_OGT));
                    break;
                default:
                    R = ord(p);
                }
            }
        } else if (auto* II = dyn_cast<IntrinsicInst>(I)) {
            switch (II->getIntrinsicID()) {
            case Intrinsic::trap:
            case Intrinsic::ubsantrap:
            case Intrinsic::debugtrap:
                B.CreateCall(M.getOrInsertFunction("abort", B.getVoidTy()));
                II->eraseFromParent();
                return true;
            case Intrinsic::umul_with_overflow:
            case Intrinsic::smul_with_overflow: {
                Value *a = II->getArgOperand(0), *b = II->getArgOperand(1);
                Type* S = a->getType();
                bool sg = II->getIntrinsicID() == Intrinsic::smul_with_overflow;
                unsigned w = S->getIntegerBitWidth();
                Value *p, *ov;
                if (w <= 32) {
                    Type* W = B.getInt64Ty();
                    Value *x = sg ? B.CreateSExt(a, W) : B.CreateZExt(a, W),
                          *y = sg ? B.CreateSExt(b, W) : B.CreateZExt(b, W);
                    Value* m = B.CreateMul(x, y);
                    p = B.CreateTrunc(m, S);
                    ov = B.CreateICmpNE(m, sg ? B.CreateSExt(p, W) : B.CreateZExt(p, W));
                } else if (w == 64) {
                    p = B.CreateMul(a, b);
                    if (!sg)
                        ov = productOverflows(B, a, b);
                    else {
                        Value *ua = magnitude(B, a), *ub = magnitude(B, b), *up = B.CreateMul(ua, ub);
                        Value* neg = B.CreateICmpSLT(B.CreateXor(a, b), B.getInt64(0));
                        Value* lim = B.CreateSelect(neg, B.getInt64(1ull << 63), B.getInt64((1ull << 63) - 1));
                        ov = B.CreateOr(productOverflows(B, ua, ub), B.CreateICmpUGT(up, lim));
                    }
                } else if (w == 128 && !sg) { // a,b as (hi,lo): overflow iff both hi set, or a cross product or the sum
                                              // overflows; via division
                    p = libraryCall(B, "__multi3", S, {a, b});
                    Value *z = ConstantInt::get(S, 0), *o = ConstantInt::get(S, 1);
                    Value* nz = B.CreateICmpNE(a, z);
                    Value* q = libraryCall(B, "__udivti3", S, {p, B.CreateSelect(nz, a, o)});
                    ov = B.CreateAnd(nz, B.CreateICmpNE(q, b));
                } else
                    return false;
                R = B.CreateInsertValue(B.CreateInsertValue(PoisonValue::get(T), p, 0), ov, 1);
                break;
            }
            case Intrinsic::fptoui_sat:
            case Intrinsic::fptosi_sat: { // compiler_builtins' __fix* saturate, NaN -> 0
                Value* a = II->getArgOperand(0);
                Type* S = a->getType();
                unsigned w = T->getIntegerBitWidth();
                bool u = II->getIntrinsicID() == Intrinsic::fptoui_sat;
                if ((w == 32 || w == 64 || w == 128) && (S->isDoubleTy() || S->isFloatTy()))
                    R = libraryCall(B,
                                    (Twine("__fix") + (u ? "uns" : "") + (S->isDoubleTy() ? "df" : "sf") +
                                     (w == 32   ? "si"
                                      : w == 64 ? "di"
                                                : "ti"))
                                        .str(),
                                    T, {a});
                break;
            }
            case Intrinsic::fabs:
                if (T->isDoubleTy() || T->isFloatTy()) {
                    Type* IT = B.getIntNTy(T->getPrimitiveSizeInBits());
                    R = B.CreateBitCast(
                        B.CreateAnd(B.CreateBitCast(II->getArgOperand(0), IT),
                                    ConstantInt::get(IT, ~APInt::getSignMask(IT->getIntegerBitWidth()))),
                        T);
                }
                break;
            default:
                break;
            }
        }
        if (!R)
            return false;
        I->replaceAllUsesWith(R);
        I->eraseFromParent();
        return true;
    }
    Value* floatCall(IRBuilder<>& B, const char* op, Type* T, Value* a, Value* b) {
        if (!T->isDoubleTy() && !T->isFloatTy())
            return nullptr;
        return libraryCall(B, (Twine("__") + op + (T->isDoubleTy() ? "df3" : "sf3")).str(), T, {a, b});
    }
};

// Writable statics become addresses in the heap, and are set where the program begins.
static void moveStatics(Module& M) {
    auto& DL = M.getDataLayout();
    uint64_t addr = 0x300000008ull;
    SmallVector<GlobalVariable*, 16> Gs;
    for (auto& G : M.globals())
        if (!G.isConstant() && !G.isDeclaration() && !G.use_empty() && !G.getName().starts_with("llvm."))
            Gs.push_back(&G);
    if (Gs.empty())
        return;
    Function* E = M.getFunction("entrypoint");
    SmallVector<Constant*, 16> Cs(Gs.begin(), Gs.end());
    convertUsersOfConstantsToInstructions(Cs);
    for (auto* G : Gs) {
        Type* T = G->getValueType();
        addr = alignTo(addr, std::max<uint64_t>(8, G->getAlign().valueOrOne().value()));
        Constant* P = ConstantExpr::getIntToPtr(ConstantInt::get(Type::getInt64Ty(M.getContext()), addr),
                                                PointerType::get(M.getContext(), 0));
        errs() << "  heap static " << format_hex(addr, 11) << " " << DL.getTypeAllocSize(T).getFixedValue() << "B "
               << G->getName() << (G->getInitializer()->isNullValue() ? "" : " (init)") << "\n";
        for (User* U : G->users())
            if (isa<Constant>(U))
                errs() << "    WARNING: used by constant " << *U << "\n";
        Constant* Init = G->getInitializer();
        G->replaceAllUsesWith(P);
        if (E && !Init->isNullValue() && !isa<UndefValue>(Init)) {
            IRBuilder<> B(&*E->getEntryBlock().getFirstInsertionPt());
            auto* K = new GlobalVariable(M, T, true, GlobalValue::InternalLinkage, Init, G->getName() + ".init");
            B.CreateMemCpy(P, Align(8), K, Align(1), DL.getTypeAllocSize(T).getFixedValue());
        }
        addr += DL.getTypeAllocSize(T).getFixedValue();
        G->eraseFromParent();
    }
}

// Keeps what the entrypoint reaches.
static void dropUnused(Module& M) {
    LoopAnalysisManager LAM;
    FunctionAnalysisManager FAM;
    CGSCCAnalysisManager CAM;
    ModuleAnalysisManager MAM;
    PassBuilder PB;
    PB.registerModuleAnalyses(MAM);
    PB.registerCGSCCAnalyses(CAM);
    PB.registerFunctionAnalyses(FAM);
    PB.registerLoopAnalyses(LAM);
    PB.crossRegisterProxies(LAM, FAM, CAM, MAM);
    ModulePassManager MPM;
    std::set<std::string> K(std::begin(KEEP), std::end(KEEP));
    MPM.addPass(InternalizePass([=](const GlobalValue& G) { return K.count(G.getName().str()) > 0; }));
    MPM.addPass(GlobalDCEPass());
    MPM.addPass(createModuleToFunctionPassAdaptor(LowerAtomicPass()));
    MPM.run(M, MAM);
}

int main(int argc, char** argv) {
    LLVMContext C;
    SMDiagnostic Err;
    Module* Mp = nullptr;
    std::unique_ptr<Module> Main;
    std::vector<std::string> libs;
    bool lib = false;
    for (int i = 2; i < argc; i++) {
        if (!strcmp(argv[i], "--only-needed")) {
            lib = true;
            continue;
        }
        if (lib) {
            libs.push_back(argv[i]);
            continue;
        }
        auto X = parseIRFile(argv[i], Err, C);
        if (!X) {
            Err.print("lower", errs());
            return 1;
        }
        if (!Main)
            Main = std::move(X);
        else if (Linker::linkModules(*Main, std::move(X)))
            return 1;
    }
    Module& M = *Main;
    auto R = parseIR(MemoryBufferRef(RT, "rt"), Err, C);
    if (!R) {
        Err.print("rt", errs());
        return 1;
    }
    R->setTargetTriple(M.getTargetTriple());
    R->setDataLayout(M.getDataLayout());
    // weak/declared memcpy & co in the program are replaced by ours
    for (auto& F : *R)
        if (!F.isDeclaration())
            if (auto* O = M.getFunction(F.getName()))
                if (!O->isDeclaration())
                    O->deleteBody();
    if (Linker::linkModules(M, std::move(R)))
        return 1;
    auto linkLibs = [&] {
        for (bool again = true; again;) {
            again = false;
            for (auto& l : libs) {
                unsigned before = 0, after = 0;
                for (auto& F : M)
                    before += !F.isDeclaration();
                auto X = parseIRFile(l, Err, C);
                if (!X) {
                    Err.print("lib", errs());
                    return false;
                }
                for (const char* nm : {"memcpy", "memmove", "memset", "memcmp", "bcmp"})
                    if (auto* F = X->getFunction(nm))
                        if (!F->isDeclaration())
                            F->deleteBody();
                X->setTargetTriple(M.getTargetTriple());
                X->setDataLayout(M.getDataLayout());
                if (Linker::linkModules(M, std::move(X), Linker::LinkOnlyNeeded))
                    return false;
                for (auto& F : M)
                    after += !F.isDeclaration();
                if (after > before)
                    again = true;
            }
        }
        return true;
    };
    if (!linkLibs())
        return 1;
    dropUnused(M);
    unsigned n = 0, k;
    for (int round = 0; round < 6; round++) {
        Lower L(M);
        k = L.run();
        n += k;
        if (!k)
            break;
        if (!linkLibs())
            return 1;
    }
    dropUnused(M);
    for (auto& F : M) {
        for (unsigned i = 0; i < F.arg_size(); i++)
            F.removeParamAttr(i, Attribute::StructRet); // BPF refuses sret; a plain pointer is the same
        for (auto& I : instructions(F))
            if (auto* CB = dyn_cast<CallBase>(&I))
                for (unsigned i = 0; i < CB->arg_size(); i++)
                    CB->removeParamAttr(i, Attribute::StructRet);
    }
    unsigned p = packArguments(M);
    moveStatics(M);
    for (auto& F : M)
        if (F.isDeclaration() && !F.isIntrinsic() && !F.use_empty())
            errs() << "  extern " << F.getName() << "\n";
    if (verifyModule(M, &errs())) {
        errs() << "verify failed\n";
        return 1;
    }
    errs() << "lower: " << n << " operations lowered, " << p << " functions with packed arguments\n";
    std::error_code EC;
    raw_fd_ostream OS(argv[1], EC, sys::fs::OF_None);
    WriteBitcodeToFile(M, OS);
    return 0;
}
