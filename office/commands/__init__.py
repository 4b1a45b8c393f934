"""Commands of `idtone-office`, the program for the association's work. Each command consists of a noun and a verb."""

from typing import Final

GROUPS: Final = {
    "application": "Applications of members: accept, examine and grant them.",
    "member": "Members: find them, their numbers, pledges and certifications.",
    "licence": "Licences for the association's sound: extend, suspend, resume and revoke them.",
    "number": "Numbers of members: assign them, take them back, port them.",
    "chain": "Wholesale chains (卸): to whom members hand numbers on, and who checked the resellers.",
    "condition": "Stopping conditions (利用停止条件): to what members' findings lead.",
    "course": "The course (課程) about the sound and the scheme: text, test, and who took it.",
    "duty": "Duties with a day, as records of transactions: what is due, and who has done it.",
    "node": "Keys of the members' nodes, which sign documents for the desk.",
    "log": "Keys of the members' logs of evidence, and the witnesses that count.",
    "suspension": "Suspended numbers (番号停止): two people enter each, and both sign it.",
    "never-originating": "Numbers that never originate calls, such as those of police stations.",
    "refusal": "Refused contractors (事業者渡り), whom members recognise without a list of people.",
    "history": "The registry's history: who changed what, when and why.",
    "publication": "The registry's editions: begin, prepare, sign and publish them.",
    "key": "Keys that sign the registry: make them, replace them.",
    "paper": "Papers (帳票): accounts of a period, certificates and letters.",
    "sound": "Sounds of the association, with their masters.",
    "site": "The public site: what the sound means, and whether a number is genuine.",
}
"""Purpose of each noun's commands, except `report` and `evaluation`, which are shared with members' commands."""

COMMANDS: Final = {
    "application accept": (
        "idtone.office.commands.applications:accept",
        "Accept a member's application: check it against the registry, and keep it unchanged.",
    ),
    "application review": (
        "idtone.office.commands.applications:review",
        "Record the examination of an application and its result.",
    ),
    "application list": (
        "idtone.office.commands.applications:list_applications",
        "Show which applications are waiting, and for what.",
    ),
    "application grant": (
        "idtone.office.commands.applications:grant",
        "Grant what an application asks for: enter the member, the licences and the numbers.",
    ),
    "application handed-in": (
        "idtone.office.commands.submissions:list_submissions",
        "List the applications that applicants have handed in themselves. Nothing in them is verified.",
    ),
    "application take": (
        "idtone.office.commands.submissions:take_submission",
        "Accept an applicant's form as an application. The office then examines it.",
    ),
    "application send-back": (
        "idtone.office.commands.submissions:send_back_submission",
        "Send an application back to the applicant, who can correct it with the receipt number and the secret.",
    ),
    "application decline": (
        "idtone.office.commands.submissions:decline_submission",
        "Decline an application that an applicant has handed in. The desk erases it when its retention time is over.",
    ),
    "member pledge": (
        "idtone.office.commands.licences:enter_pledge",
        "Record the pledge (誓約) that a member has signed, or its renewal. Without one, no licence is valid.",
    ),
    "member certify": (
        "idtone.office.commands.certifications:certify",
        "Record the certification (認定) of a member, in place of an older one.",
    ),
    "member describe": (
        "idtone.office.commands.licences:describe_member",
        "Record a member's entry in the public list: corporate number, notification, web and mail address.",
    ),
    "member find": (
        "idtone.office.commands.find_member:find_members",
        "Find members by a part of their names or ids, or by a number, and show their suspensions.",
    ),
    "member numbers": (
        "idtone.office.commands.find_member:list_numbers",
        "List the numbers of a member in full, with their area codes.",
    ),
    "member contacts": (
        "idtone.office.commands.find_member:list_contacts",
        "List the contacts of members: corporate number, notification, web and mail address.",
    ),
    "member agree": (
        "idtone.office.commands.agreements:enter_agreement",
        "Record that a member agrees to a text: standard form, suspension scheme, stopping conditions, training.",
    ),
    "member end-agreement": (
        "idtone.office.commands.agreements:end_agreement",
        "Record that an agreement of a member has ended.",
    ),
    "member agreements": (
        "idtone.office.commands.agreements:list_agreements",
        "List members' agreements: which member has agreed to which version of the standard form, and so on.",
    ),
    "member refuse-numbers": (
        "idtone.office.commands.number_suspensions:no_new_numbers",
        "Give a member no more numbers: `application grant` and `number assign` refuse them. Two people sign it.",
    ),
    "member allow-numbers": (
        "idtone.office.commands.number_suspensions:allow_new_numbers",
        "Let a member get numbers again. Two people sign it.",
    ),
    "licence renew": (
        "idtone.office.commands.licences:renew_licence",
        "Extend a licence.",
    ),
    "licence suspend": (
        "idtone.office.commands.licences:suspend_licence",
        "Suspend a licence for a time: its member's calls no longer get the association's sound.",
    ),
    "licence resume": (
        "idtone.office.commands.licences:resume_licence",
        "Make a suspended licence valid again.",
    ),
    "licence revoke": (
        "idtone.office.commands.licences:revoke_licence",
        "Revoke a licence for good. The member has to apply for another one.",
    ),
    "number assign": (
        "idtone.office.commands.licences:assign_number",
        "Assign more numbers to a member. The command asks for them or reads a file, because others can see a command"
        " line.",
    ),
    "number release": (
        "idtone.office.commands.licences:release_number",
        "Take numbers back from a member. They may be a part of a range; the rest of the range stays.",
    ),
    "number port": (
        "idtone.office.commands.portings:port_number",
        "Record that a member's numbers pass to another member at a given time (番号ポータビリティ).",
    ),
    "number end-porting": (
        "idtone.office.commands.portings:remove_porting",
        "Remove a porting: the numbers stay with the member that holds them now, and are entered in its ranges.",
    ),
    "chain add": (
        "idtone.office.commands.wholesale_chains:add_link",
        "Record that a member hands numbers on to a reseller (卸). The command asks for the numbers, or reads them "
        "from a file.",
    ),
    "chain check": (
        "idtone.office.commands.wholesale_chains:check_link",
        "Record who checked the reseller of a link, when, and by which document.",
    ),
    "chain certify": (
        "idtone.office.commands.certifications:certify_link",
        "Record the certification (認定) of a link's reseller, as the wholesaler has seen it.",
    ),
    "chain remove": (
        "idtone.office.commands.wholesale_chains:remove_link",
        "Remove the last link of a wholesale chain: the reseller has given the numbers back.",
    ),
    "condition list": (
        "idtone.office.commands.stopping_conditions:list_conditions",
        "List the stopping conditions: which finding of `misuse` leads to what, within how many days.",
    ),
    "condition enter": (
        "idtone.office.commands.stopping_conditions:enter_stopping_conditions",
        "Enter stopping conditions in place of the older ones. Each finding of `misuse` has one.",
    ),
    "course show": (
        "idtone.office.commands.courses:show_course",
        "Show the text of the course about the sound and the scheme. A lawyer has to check it.",
    ),
    "course print": (
        "idtone.office.commands.courses:print_course",
        "Print the course and its test as a PDF in Japanese and English. The test is filled in by hand.",
    ),
    "course take": (
        "idtone.office.commands.courses:take_test",
        "Take the test at the terminal. Exit 1: you did not pass it. Nothing is recorded.",
    ),
    "course record": (
        "idtone.office.commands.courses:record_test",
        "Mark a person's test, and store the result. Exit 1: the person did not pass.",
    ),
    "course list": (
        "idtone.office.commands.courses:list_attendances",
        "List who took the course, when, and with which result.",
    ),
    "course certificate": (
        "idtone.office.commands.courses:print_certificate",
        "Print the certificate of attendance (受講証明書) of a test that was passed.",
    ),
    "course forget": (
        "idtone.office.commands.courses:forget_attendees_before",
        "Erase the names of persons who took the test before a day. The results stay.",
    ),
    "duty enter": (
        "idtone.office.commands.duties:add_duty",
        "Enter a duty and its due day in the list: a transaction record, a report of a suspicious transaction, or "
        "another duty.",
    ),
    "duty list": (
        "idtone.office.commands.duties:list_duties",
        "List the open duties, the earliest day first. Exit 1: one is overdue.",
    ),
    "duty finish": (
        "idtone.office.commands.duties:record_done",
        "Record that a duty was done: when, by whom, and by which document.",
    ),
    "duty withdraw": (
        "idtone.office.commands.duties:erase_duty",
        "Erase a duty that was entered by mistake or is no longer needed. The ledger keeps its number and the reason.",
    ),
    "node add-key": (
        "idtone.office.commands.licences:add_node_key",
        "Enter the key of a member's node: the desk then accepts the documents that the node signs.",
    ),
    "node remove-key": (
        "idtone.office.commands.licences:remove_node_key",
        "Remove the key of a member's node, because the node or its key is gone.",
    ),
    "log add-key": (
        "idtone.office.commands.logs_and_witnesses:add_log_key",
        "Enter the key of a member's evidence log. Evidence packs then prove whose log it is.",
    ),
    "log end-key": (
        "idtone.office.commands.logs_and_witnesses:end_log_key",
        "Record the end of a log's key: it was replaced, or others have it.",
    ),
    "log add-witness": (
        "idtone.office.commands.logs_and_witnesses:add_witness",
        "Enter a witness whose cosignatures count for all members' logs.",
    ),
    "log end-witness": (
        "idtone.office.commands.logs_and_witnesses:end_witness",
        "Record the end of a witness's term: its later cosignatures do not count.",
    ),
    "log demand-cosignatures": (
        "idtone.office.commands.logs_and_witnesses:demand_cosignatures",
        "Set how many of the witnesses must have cosigned a member's log.",
    ),
    "suspension number": (
        "idtone.office.commands.number_suspensions:suspend_number",
        "Stop a number that the police want stopped (番号停止). Two people enter the number, and both sign it.",
    ),
    "suspension range": (
        "idtone.office.commands.number_suspensions:suspend_range",
        "Stop a range or a prefix of numbers (番号停止). Two people enter it, and both sign it.",
    ),
    "suspension member": (
        "idtone.office.commands.number_suspensions:suspend_member",
        "Stop all numbers of a member, including those that it gets later. Two people enter its id, and both sign it.",
    ),
    "suspension lift": (
        "idtone.office.commands.number_suspensions:lift_suspension",
        "End the suspension of a number, a range or a member. Two people enter which, and both sign it.",
    ),
    "suspension in-force": (
        "idtone.office.commands.suspension_confirmations:show_confirmations",
        "Show which nodes have confirmed the published suspensions, and which have not. Exit 1: some have not.",
    ),
    "never-originating add": (
        "idtone.office.commands.never_originating:add_never_originating",
        "Enter a number, range or prefix that never originates calls. Two people enter it, and both sign it.",
    ),
    "never-originating remove": (
        "idtone.office.commands.never_originating:remove_never_originating",
        "Remove an entry of numbers that never originate. Two people enter which, and both sign it.",
    ),
    "never-originating list": (
        "idtone.office.commands.never_originating:list_never_originating",
        "List the numbers that never originate, with their holders (last four digits only).",
    ),
    "refusal add": (
        "idtone.office.commands.refusals:refuse_customer",
        "Enter a contractor whom members refuse for a period (事業者渡り), so that members recognise the person.",
    ),
    "refusal lift": (
        "idtone.office.commands.refusals:lift_refusal",
        "End the refusal of a contractor early.",
    ),
    "refusal list": (
        "idtone.office.commands.refusals:list_refusals",
        "List the refusals in force. The identities are encrypted, and are not shown.",
    ),
    "refusal decide-basis": (
        "idtone.office.commands.refusals:decide_basis",
        "Record the legal basis on which members learn of refused contractors. Without this record, no refusals' key "
        "can be made.",
    ),
    "refusal new-key": (
        "idtone.office.commands.refusals:new_refusal_key",
        "Make the key of the refusals, or begin a new epoch with another key or another identity table.",
    ),
    "history show": (
        "idtone.office.commands.history:show_history",
        "Show who changed what, when and why, and which keys have signed each change.",
    ),
    "history note": (
        "idtone.office.commands.history:note_edits",
        "Record edits by hand in the history: those of registry.yaml, suspensions.yaml and never-originates.yaml.",
    ),
    "publication new-registry": (
        "idtone.office.commands.new_registry:new_registry",
        "Write a registry.yaml and a suspensions.yaml to start with: no members, and no suspensions.",
    ),
    "publication begin": (
        "idtone.office.commands.keys:begin_repository",
        "Begin a repository with registry.yaml and suspensions.yaml, and the keys that sign them.",
    ),
    "publication prepare": (
        "idtone.office.commands.publication:prepare",
        "Write the next publication into a folder (the package). Pass it from holder to holder, or give each a copy.",
    ),
    "publication sign": (
        "idtone.office.commands.publication:sign",
        "Show what a package changes, with whole numbers, and sign it with your key.",
    ),
    "publication sign-page": (
        "idtone.office.signing.sign_command:sign_page",
        "Open a page on your own computer that shows what a package changes, and signs it with your key.",
    ),
    "publication assemble": (
        "idtone.office.commands.publication:assemble",
        "Add the signatures of a package's copies to the package. Exit 1: signatures are still missing.",
    ),
    "publication publish": (
        "idtone.office.commands.publication:publish",
        "Sign what has changed in registry.yaml and suspensions.yaml, and state that this is the latest edition.",
    ),
    "publication copy": (
        "idtone.office.commands.publication:copy_published",
        "Copy the published repository to the folder that `published` of authority.yaml names.",
    ),
    "publication undo": (
        "idtone.office.commands.publication:undo",
        "Take back the last unpublished change of the registry.",
    ),
    "publication prolong": (
        "idtone.office.commands.licences:prolong_registry",
        "Extend the registry itself (`expires`); licences keep their own terms.",
    ),
    "key new": (
        "idtone.office.commands.keys:new_key",
        "Create your own key, and its public half for the authority. For a key in a token, write only its public half.",
    ),
    "key keep-for-night": (
        "idtone.office.commands.keys:keep_for_night",
        "Store an officer's encrypted duty key at the office, so that the officer can sign a suspension from home at "
        "night.",
    ),
    "key rotate": (
        "idtone.office.commands.keys:rotate",
        "Replace keys of one or more sets: a holder leaves, or a key was lost or stolen.",
    ),
    "report list": (
        "idtone.office.commands.reports:list_reports",
        "List reports (申告), the newest last: the holder of the number or the service, who has to act, and the "
        "result.",
    ),
    "report show": (
        "idtone.office.commands.reports:show_report",
        "Show one report: the number or the service, what happened, and what each member has answered. The reporter "
        "stays sealed.",
    ),
    "report take": (
        "idtone.office.commands.reports:enter_report",
        "Enter a report that came by telephone, by letter or in person. The command asks for number, words and name.",
    ),
    "report close": (
        "idtone.office.commands.reports:close_report",
        "Close a report with its result. A request that still waits for an answer is withdrawn.",
    ),
    "report overdue": (
        "idtone.office.commands.reports:list_overdue_reports",
        "List the requests whose members have not answered in time. Exit 1: there are some.",
    ),
    "report stats": (
        "idtone.office.commands.reports:count_reports",
        "Count reports for publication. Small counts are hidden (`statistics.least` in reports.yaml), and so are "
        "other counts from which a reader could compute them.",
    ),
    "report forget": (
        "idtone.office.commands.reports:forget_reports",
        "Erase the content of old reports and the names of the reporters: number, words, hashes of files, name.",
    ),
    "report reveal-reporter": (
        "idtone.office.commands.reports:reveal_reporter",
        "Show who has reported, if the reporter consented to be named. The office's ledger records it.",
    ),
    "report new-key": (
        "idtone.office.commands.reports:new_report_key",
        "Make the report officer's key pair. The desk gets its public half, and can then take the names of reporters.",
    ),
    "evaluation run": (
        "idtone.office.commands.evaluation:run_evaluation",
        "Evaluate all members according to evaluation.yaml in the folder, and show the reason for each point.",
    ),
    "evaluation list": (
        "idtone.office.commands.evaluation:list_evaluations",
        "Show the evaluations of all periods, and draw them. Each result is computed again from its values.",
    ),
    "evaluation enter-criteria": (
        "idtone.office.commands.evaluation:enter_evaluation_criteria",
        "Enter the criteria of the evaluation in place of the older ones. The command raises their version itself.",
    ),
    "evaluation observe": (
        "idtone.office.commands.observations:enter_observation_of_member",
        "Enter what the office observed of a member: a contact attempt, a form, a stop, an assessor's points.",
    ),
    "evaluation observations": (
        "idtone.office.commands.observations:list_observations",
        "List what the office has observed of members, the newest last.",
    ),
    "evaluation withdraw": (
        "idtone.office.commands.observations:withdraw_observation_of_member",
        "Erase an observation that was entered by mistake. An evaluation that was entered before keeps its result.",
    ),
    "evaluation forget": (
        "idtone.office.commands.observations:forget_old_observations",
        "Erase the observations made before a day, with the assessors' names. Evaluations keep their values.",
    ),
    "paper account": (
        "idtone.office.commands.papers:print_account",
        "Write the account of a period for the ministry, or the annual report: a PDF, and each table as CSV.",
    ),
    "paper certificate": (
        "idtone.office.commands.papers:print_certificate",
        "Print the certificate of a licence (利用許諾証), if the licence is valid and published without later changes.",
    ),
    "paper letter": (
        "idtone.office.commands.papers:print_letter",
        "Print a letter to a member, with the member's facts from the registry.",
    ),
    "sound add": (
        "idtone.office.commands.sounds:add_sound",
        "Enter a sound with its master. The next publication brings the file to the members.",
    ),
    "desk": (
        "idtone.office.commands.desk:run_desk",
        "Run the association's desk until SIGTERM. The desk accepts the documents that members sign.",
    ),
    "site write": (
        "idtone.office.commands.site:build_site",
        "Write the public site: what the sound means, whether a number is genuine, badges, reports, figures.",
    ),
    "site prepare": (
        "idtone.office.commands.site:prepare_site",
        "Write the public site's statement into a folder (the package). Pass it from holder to holder, or give each a"
        " copy.",
    ),
    "site sign": (
        "idtone.office.commands.site:sign_site",
        "Show what the public site states, and sign it with your key.",
    ),
    "site assemble": (
        "idtone.office.commands.site:assemble_site",
        "Add the signatures of a package's copies to the package. Exit 1: signatures are still missing.",
    ),
    "site serve": (
        "idtone.office.commands.site:serve_site",
        "Run the number service of the public site until SIGTERM. It learns no number.",
    ),
}
"""Module, function and summary of each command, by noun and verb."""
