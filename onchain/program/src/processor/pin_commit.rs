//! The instruction `pin_commit`.

use pinocchio::{
    cpi::Signer,
    error::ProgramError,
    sysvars::{clock::Clock, rent::Rent, Sysvar},
    ProgramResult,
};
use pinocchio_system::instructions::CreateAccount;
use wmq_world::layout::pin;

use super::{sweep, Context};
use crate::{
    accounts::{is_system_program, signs, Pin, PinSeeds, Session},
    error::{require, WorldError},
    tree::Hash,
};

/// `pin_commit`: keeps what a session has committed, leaves and root, whatever is committed later. Anyone may.
///
/// ```text
/// data      root 32, that the session has now
/// accounts  0 [signer, writable]  pinner, who pays
///           1 [writable]          pin: address of ("pin", session, pinner, root)
///           2 []                  session, delegated or not
///           3 []                  system program
/// ```
/// Nothing of the tree has to be known: its peaks are asked for when a dispute is opened. The session's status does not
/// matter: what was committed is claimed.
///
/// # Errors
/// `NotEnoughAccountKeys`, `MissingRequiredSignature`, `WrongProgram`, those of `Session::load_committed`; `WrongStatus` if
/// nothing has been committed, `WrongProof` if it is another root, `WrongFrame` if no tree has so many leaves; `NotEmpty`, `WrongAccount`;
/// those of the system program.
#[inline(never)]
pub fn process(context: Context, root: &Hash) -> ProgramResult {
    let Context { program, accounts } = context;
    let [pinner, account, session_account, system] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    signs(pinner)?;
    is_system_program(system)?;
    let session = Session::load_committed(program, session_account)?;
    require(*session.root() != [0; 32], WorldError::WrongStatus)?;
    require(session.root() == root, WorldError::WrongProof)?;
    let leaves = session.leaves()?;
    require(account.is_data_empty(), WorldError::NotEmpty)?;
    let seeds = PinSeeds {
        session: *session_account.address().as_array(),
        pinner: *pinner.address().as_array(),
        root: *root,
    };
    let (address, bump) = seeds.find(program);
    require(address == *account.address(), WorldError::WrongAccount)?;
    let bumps = [bump];
    let signer_seeds = seeds.signer(&bumps);
    sweep(account, pinner, Signer::from(&signer_seeds))?;
    CreateAccount {
        from: pinner,
        to: account,
        lamports: Rent::get()?.try_minimum_balance(pin::BYTES)?,
        space: pin::BYTES as u64,
        owner: program,
    }
    .invoke_signed(&[Signer::from(&signer_seeds)])?;
    let mut made = Pin::initialise(program, account)?;
    made.set_session(&seeds.session);
    made.set_pinner(&seeds.pinner);
    made.set_model(session.model());
    made.set_ids(session.ids());
    made.set_start(session.start());
    made.set_validator(session.validator());
    made.set_leaves(leaves);
    made.set_root(root);
    made.set_slot(Clock::get()?.slot);
    Ok(())
}
