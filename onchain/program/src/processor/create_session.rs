//! The instruction `create_session`.

use ephemeral_rollups_pinocchio::ephemeral_accounts::rent as ephemeral_rent;
use pinocchio::{cpi::Signer, error::ProgramError, sysvars::rent::Rent, sysvars::Sysvar, ProgramResult};
use pinocchio_system::instructions::CreateAccount;
use wmq_world::layout::session;

use super::{sweep, Context};
use crate::{
    accounts::{is_system_program, signs, Model, ScratchSeeds, Session, SessionSeeds, SCRATCH_BYTES},
    error::{require, WorldError},
    instruction::Terms,
    window::check_ids,
};

/// `create_session`: makes the account and takes the first seat.
///
/// ```text
/// data      id u64 | ids 4 x u16 | start 32 | opponent 32 | validator 32 | key 32 | expires i64
/// accounts  0 [signer, writable]  creator
///           1 [writable]          session: address of ("session", model, creator, hash of what comes before the key)
///           2 []                  model, frozen
///           3 []                  system program
/// ```
/// The creator also deposits what the scratch account will cost on the rollup; closing the session returns all.
///
/// # Errors
/// `NotEnoughAccountKeys`, `MissingRequiredSignature`, `WrongProgram`, those of `Model::load_frozen`, `WrongIds`,
/// `NotEmpty`, `WrongAccount`; those of the system program.
#[inline(never)]
pub fn process(context: Context, terms: &Terms) -> ProgramResult {
    let Context { program, accounts } = context;
    let [creator, account, model, system] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    signs(creator)?;
    is_system_program(system)?;
    Model::load_frozen(program, model, 0)?;
    let agreed = &terms.agreed;
    check_ids(&agreed.ids)?;
    require(account.is_data_empty(), WorldError::NotEmpty)?;
    let seeds = SessionSeeds {
        model: *model.address().as_array(),
        creator: *creator.address().as_array(),
        terms: agreed.hash(),
    };
    let (address, bump) = seeds.find(program);
    require(address == *account.address(), WorldError::WrongAccount)?;
    let (_, scratch_bump) = ScratchSeeds { session: *address.as_array(), nonce: [0; 8] }.find(program);
    let rent = Rent::get()?.try_minimum_balance(session::BYTES)?;
    let lamports =
        rent.checked_add(ephemeral_rent(SCRATCH_BYTES as u32)).ok_or(ProgramError::ArithmeticOverflow)?;
    let bumps = [bump];
    let signer_seeds = seeds.signer(&bumps);
    sweep(account, creator, Signer::from(&signer_seeds))?;
    CreateAccount { from: creator, to: account, lamports, space: session::BYTES as u64, owner: program }
        .invoke_signed(&[Signer::from(&signer_seeds)])?;
    let mut made = Session::initialise(program, account)?;
    made.set_model(&seeds.model);
    made.set_creator(&seeds.creator);
    made.set_id(agreed.id);
    made.set_ids(agreed.ids);
    made.set_start(agreed.start);
    made.set_opponent(agreed.opponent);
    made.set_validator(agreed.validator);
    made.set_bump(bump);
    made.set_scratch_bump(scratch_bump);
    made.set_wallet(0, &seeds.creator)?;
    made.set_wallet(1, agreed.opponent)?;
    made.set_key(0, &terms.key)
}
