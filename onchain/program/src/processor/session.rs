//! A session on the base chain: made, joined, ended, closed.

use ephemeral_rollups_pinocchio::ephemeral_accounts::rent as ephemeral_rent;
use pinocchio::{
    cpi::{Seed, Signer},
    error::ProgramError,
    sysvars::{rent::Rent, Sysvar},
    Address, ProgramResult,
};
use pinocchio_system::instructions::CreateAccount;
use wmq_world::layout::{player, session, SESSION_VOCAB};

use super::{sweep, Context};
use crate::{
    error::{require, WorldError},
    instruction::SessionKey,
    state::{close_account, load_frozen_model, signs, Session, Status, SCRATCH_BYTES},
    tree::Hash,
};

/// What a session is created with.
pub struct Terms<'a> {
    /// The creator's number for it.
    pub id: u64,
    /// Ids that stay while it lasts: one per entry of `SESSION_VOCAB`, the rest zero.
    pub ids: [u16; 4],
    /// Root of the hash tree over the window it starts from: who joins knows what.
    pub start: &'a [u8; 32],
    /// The second player's wallet; all zeros for whoever comes first.
    pub opponent: &'a [u8; 32],
    /// Validator of the rollup that it will be delegated to.
    pub validator: &'a [u8; 32],
    /// The first player's session key. The first player is the creator.
    pub key: SessionKey<'a>,
}

/// Checks that every id lies in its table.
///
/// # Errors
/// `WrongIds`.
pub fn check_ids(ids: &[u16; 4]) -> ProgramResult {
    let allowed = ids.iter().enumerate().all(|(i, &id)| id < SESSION_VOCAB.get(i).copied().unwrap_or(1));
    require(allowed, WorldError::WrongIds)
}

/// `create_session`: makes the account and takes the first seat.
///
/// ```text
/// data      id u64 | ids 4 x u16 | start 32 | opponent 32 | validator 32 | key 32 | expires i64
/// accounts  0 [signer, writable]  creator
///           1 [writable]          session: address of ("session", model, creator, id)
///           2 []                  model, frozen
///           3 []                  system program
/// ```
/// The creator also deposits what the scratch account will cost on the rollup; closing the session returns all.
///
/// # Errors
/// `NotEnoughAccountKeys`, `MissingRequiredSignature`, those of `load_frozen_model`, `WrongIds`, `NotEmpty`,
/// `WrongAccount`; those of the system program.
#[inline(never)]
pub fn create(context: Context, terms: &Terms) -> ProgramResult {
    let Context { program, accounts } = context;
    let [creator, account, model, _system] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    signs(creator)?;
    load_frozen_model(program, model)?;
    check_ids(&terms.ids)?;
    require(account.is_data_empty(), WorldError::NotEmpty)?;
    let id = terms.id.to_le_bytes();
    let seeds: [&[u8]; 4] = [b"session", model.address().as_array(), creator.address().as_array(), &id];
    let (address, bump) = Address::find_program_address(&seeds, program);
    require(address == *account.address(), WorldError::WrongAccount)?;
    let (_, scratch_bump) = Address::find_program_address(&[b"scratch", address.as_array()], program);
    let deposit = ephemeral_rent(SCRATCH_BYTES as u32);
    let bumps = [bump];
    let signer_seeds = [
        Seed::from(seeds[0]),
        Seed::from(seeds[1]),
        Seed::from(seeds[2]),
        Seed::from(seeds[3]),
        Seed::from(&bumps),
    ];
    sweep(account, creator, Signer::from(&signer_seeds))?;
    CreateAccount {
        from: creator,
        to: account,
        lamports: Rent::get()?.try_minimum_balance(session::BYTES)? + deposit,
        space: session::BYTES as u64,
        owner: program,
    }
    .invoke_signed(&[Signer::from(&signer_seeds)])?;
    let mut made = Session::initialise(program, account)?;
    let fields = made.fields_mut();
    fields.set(session::MODEL, *model.address().as_array());
    fields.set(session::CREATOR, *creator.address().as_array());
    fields.set(session::START, *terms.start);
    fields.set(session::VALIDATOR, *terms.validator);
    fields.set(session::ID, terms.id);
    fields.set(session::IDS, terms.ids);
    fields.set(session::BUMP, u32::from(bump));
    fields.set(session::SCRATCH_BUMP, u32::from(scratch_bump));
    fields.set(Session::player(0)? + player::WALLET, *creator.address().as_array());
    fields.set(Session::player(1)? + player::WALLET, *terms.opponent);
    made.set_key(0, &terms.key)
}

/// `join_session`: takes the second seat.
///
/// ```text
/// data      start 32 | key 32 | expires i64
/// accounts  0 [signer]    player
///           1 [writable]  session
/// ```
/// `start` is that of the session the player means to join: the creator may have made another under its number.
///
/// # Errors
/// `NotEnoughAccountKeys`, `MissingRequiredSignature`, those of `Session::load_mut`; `WrongStatus` if the seat is taken,
/// `WrongAuthority` if it is kept for another, `WrongStart`.
#[inline(never)]
pub fn join(context: Context, start: &Hash, key: &SessionKey) -> ProgramResult {
    let Context { program, accounts } = context;
    let [player, account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    signs(player)?;
    let mut session = Session::load_mut(program, account)?;
    session.require(Status::Open)?;
    require(session.fields().at::<Hash>(session::START) == start, WorldError::WrongStart)?;
    let wallet = Session::player(1)? + player::WALLET;
    let open = *session.fields().at::<[u8; 32]>(wallet) == [0; 32];
    require(open || session.fields().names(wallet, player.address()), WorldError::WrongAuthority)?;
    session.fields_mut().set(wallet, *player.address().as_array());
    session.set_key(1, key)?;
    session.set_status(Status::Joined);
    Ok(())
}

/// `set_key`: a player names another session key, or none.
///
/// ```text
/// data      player u8 | key 32 | expires i64
/// accounts  0 [signer]    the player's wallet: no session key can prolong itself
///           1 [writable]  session
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, `MissingRequiredSignature`, those of `Session::load_mut`, `WrongPlayer`, `WrongAuthority`.
#[inline(never)]
pub fn set_key(context: Context, player: u8, key: &SessionKey) -> ProgramResult {
    let Context { program, accounts } = context;
    let [wallet, account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    signs(wallet)?;
    let mut session = Session::load_mut(program, account)?;
    let seat = Session::player(player)? + player::WALLET;
    require(session.fields().names(seat, wallet.address()), WorldError::WrongAuthority)?;
    session.set_key(player, key)
}

/// `end_session`: no more inputs, no more frames. On the rollup or on the base chain.
///
/// ```text
/// accounts  0 [signer]    who has a part in the session
///           1 [writable]  session
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, those of `Session::load_mut` and `has_part`; `WrongStatus` if it has ended.
#[inline(never)]
pub fn end(context: Context) -> ProgramResult {
    let Context { program, accounts } = context;
    let [party, account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    let mut session = Session::load_mut(program, account)?;
    session.has_part(party)?;
    require(!session.is(Status::Ended), WorldError::WrongStatus)?;
    session.set_status(Status::Ended);
    Ok(())
}

/// `close_session`: returns the rent. One that has frames must have been ended.
///
/// ```text
/// accounts  0 [signer, writable]  creator
///           1 [writable]          session, not delegated
/// ```
/// # Errors
/// `NotEnoughAccountKeys`, `MissingRequiredSignature`, those of `Session::load_mut`, `WrongAuthority`, `WrongStatus`.
#[inline(never)]
pub fn close(context: Context) -> ProgramResult {
    let Context { program, accounts } = context;
    let [creator, account] = accounts else {
        return Err(ProgramError::NotEnoughAccountKeys);
    };
    signs(creator)?;
    let session = Session::load_mut(program, account)?;
    require(session.fields().names(session::CREATOR, creator.address()), WorldError::WrongAuthority)?;
    require(!session.is(Status::Started), WorldError::WrongStatus)?;
    close_account(account, creator)
}
