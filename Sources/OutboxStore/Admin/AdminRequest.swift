// Every question and order of administrators, by the name of its statement. Chosen by the command line, run by AdminStore.

internal import Postgres

/// A question or an order: a JSON document in, JSON documents out.
///
/// The statements stand in `sql/queries/administration.sql` and `replays.sql`, with the members of each document.
public struct AdminRequest: Sendable {
    let statement: Statement
    /// The longest time for the answer; nil for the connection's.
    let timeout: Duration?

    private init(_ statement: Statement, timeout: Duration? = nil) {
        self.statement = statement
        self.timeout = timeout
    }

    /// For what reads every event of a time, of which there may be hundreds of millions, and for changes of destinations and
    /// dead letters, with which all goes that waits for them; an hour.
    private static let longest = Duration.seconds(3600)

    /// Creates an endpoint.
    public static let endpointCreate = AdminRequest(Queries.endpointCreate)
    /// Lists endpoints, or shows one.
    public static let endpointList = AdminRequest(Queries.endpointList)
    /// Changes an endpoint.
    public static let endpointUpdate = AdminRequest(Queries.endpointUpdate, timeout: longest)
    /// Deletes an endpoint.
    public static let endpointDelete = AdminRequest(Queries.endpointDelete, timeout: longest)
    /// Creates an n8n workflow.
    public static let workflowCreate = AdminRequest(Queries.workflowCreate)
    /// Lists n8n workflows, or shows one.
    public static let workflowList = AdminRequest(Queries.workflowList)
    /// Changes an n8n workflow.
    public static let workflowUpdate = AdminRequest(Queries.workflowUpdate, timeout: longest)
    /// Deletes an n8n workflow.
    public static let workflowDelete = AdminRequest(Queries.workflowDelete, timeout: longest)
    /// Counts what deleting a destination would give up.
    public static let deletionPlan = AdminRequest(Queries.deletionPlan, timeout: longest)
    /// Gives a destination a new secret beside the old one.
    public static let secretRotate = AdminRequest(Queries.secretRotate)
    /// Tells whether there is, or was, a destination of an id or a name.
    public static let destinationKnown = AdminRequest(Queries.destinationKnown)
    /// Emits an event.
    public static let eventEmit = AdminRequest(Queries.eventEmit)
    /// Lists events.
    public static let eventList = AdminRequest(Queries.eventList)
    /// Shows an event with its deliveries and attempts.
    public static let eventShow = AdminRequest(Queries.eventShow)
    /// Lists deliveries.
    public static let deliveryList = AdminRequest(Queries.deliveryList)
    /// Shows a delivery with its attempts.
    public static let deliveryShow = AdminRequest(Queries.deliveryShow)
    /// Lists dead letters.
    public static let deadLetterList = AdminRequest(Queries.deadLetterList)
    /// Shows a dead letter with its attempts and how its destination is doing.
    public static let deadLetterShow = AdminRequest(Queries.deadLetterShow)
    /// Archives dead letters.
    public static let deadLetterArchive = AdminRequest(Queries.deadLetterArchive, timeout: longest)
    /// Counts what a replay would send.
    public static let replayPlan = AdminRequest(Queries.replayPlan, timeout: longest)
    /// Stores a replay; ``ReplayStore`` drives it.
    public static let replayStart = AdminRequest(Queries.replayStart)
    /// Lists replays, or shows one.
    public static let replayList = AdminRequest(Queries.replayList)
    /// Pauses, resumes or cancels a replay.
    public static let replaySwitch = AdminRequest(Queries.replaySwitch)
    /// Tells how long things are kept.
    public static let retentionShow = AdminRequest(Queries.retentionShow)
    /// Sets how long things are kept.
    public static let retentionSet = AdminRequest(Queries.retentionSet)
    /// Tells what waits.
    public static let queueStatus = AdminRequest(Queries.queueStatus)
    /// Lists attachments.
    public static let attachmentList = AdminRequest(Queries.attachmentList)
    /// Attaches a table.
    public static let attachmentCreate = AdminRequest(Queries.attachmentCreate)
    /// Detaches a table.
    public static let attachmentDelete = AdminRequest(Queries.attachmentDelete)
    /// Lists ordering keys that have work.
    public static let orderList = AdminRequest(Queries.orderList)
    /// Skips what is at the head of an ordering key.
    public static let orderSkip = AdminRequest(Queries.orderSkip)
    /// Gives a setting a value.
    public static let settingSet = AdminRequest(Queries.settingSet)
    /// Lists settings.
    public static let settingList = AdminRequest(Queries.settingList)
    /// Removes a setting.
    public static let settingRemove = AdminRequest(Queries.settingRemove)
    /// Looks at everything that may be wrong.
    public static let diagnosis = AdminRequest(Queries.diagnosis)
    /// Counts what forgetting a person would erase.
    public static let forgetPlan = AdminRequest(Queries.forgetPlan, timeout: longest)
    /// Forgets a person: asks for the erasure and begins with it.
    public static let forgetUser = AdminRequest(Queries.forgetUser)
    /// Does one batch of an erasure.
    public static let erasureGoOn = AdminRequest(Queries.erasureGoOn)
    /// Tells how far an erasure is.
    public static let erasureShow = AdminRequest(Queries.erasureShow)
    /// Lists the audit log.
    public static let auditLogList = AdminRequest(Queries.auditLogList)
    /// Lists columns that attachments never send.
    public static let deniedColumnList = AdminRequest(Queries.deniedColumnList)
    /// Denies a column.
    public static let deniedColumnAdd = AdminRequest(Queries.deniedColumnAdd)
    /// Allows a column that was denied.
    public static let deniedColumnRemove = AdminRequest(Queries.deniedColumnRemove)
    /// Lists event types whose payloads are sealed at rest.
    public static let sealedTypeList = AdminRequest(Queries.sealedTypeList)
    /// Has payloads of a type sealed.
    public static let sealedTypeAdd = AdminRequest(Queries.sealedTypeAdd)
    /// Has payloads of a type sealed no more.
    public static let sealedTypeRemove = AdminRequest(Queries.sealedTypeRemove)
    /// Lists the keys that payloads are sealed with.
    public static let payloadKeyList = AdminRequest(Queries.payloadKeyList)
    /// Says by when the newest secret of a destination should be replaced.
    public static let secretExpire = AdminRequest(Queries.secretExpire)
    /// Lists destinations whose newest secret has a date.
    public static let secretExpiryList = AdminRequest(Queries.secretExpiryList)
    /// Lists profiles that are rows or are used.
    public static let profileList = AdminRequest(Queries.profileList)
    /// Adds a profile.
    public static let profileCreate = AdminRequest(Queries.profileCreate)
    /// Changes a profile.
    public static let profileUpdate = AdminRequest(Queries.profileUpdate)
    /// Removes a profile.
    public static let profileDelete = AdminRequest(Queries.profileDelete)
}
