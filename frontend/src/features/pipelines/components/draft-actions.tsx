import { useState } from 'react'
import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { ConfirmDialog } from '@/components/ui/confirm-dialog'
import { Dialog } from '@/components/ui/dialog'
import { useDiscardDraft, usePublishDraft } from '@/features/pipelines/api'
import { RunForm } from '@/features/pipelines/components/run-form'
import type { Schemas } from '@/lib/api'
import { useHasRole } from '@/store/session'

type DraftProps = {
  pipeline: Schemas['PipelineDetail']
  draft: Schemas['PipelineVersionDetail']
}

/** Where it stands beside the version that runs. */
export function DraftNote({ pipeline, draft }: DraftProps) {
  if (draft.state === 'discarded') {
    return (
      <p className="text-small text-secondary-foreground">
        This was a draft and is discarded. It stays for the executions that ran it.
      </p>
    )
  }
  if (isOutdated(pipeline, draft)) {
    return (
      <p className="flex items-start gap-2 text-small text-state-retrying">
        <Icon name="warning" className="mt-0.5 size-3.5" />
        <span>{sinceThen(pipeline, draft)}</span>
      </p>
    )
  }
  return (
    <p className="text-small text-secondary-foreground">
      Nothing runs a draft by itself: run it here to try it, then publish it.
    </p>
  )
}

type DraftActionsProps = DraftProps & { onEdit: () => void; onGone: () => void }

export function DraftActions({ pipeline, draft, onEdit, onGone }: DraftActionsProps) {
  const [asked, setAsked] = useState<'run' | 'publish' | 'discard' | null>(null)
  const mayRun = useHasRole('operator')
  const mayEdit = useHasRole('editor')
  const close = () => setAsked(null)
  return (
    <div className="flex flex-wrap gap-2">
      {mayRun && (
        <Button size="small" onClick={() => setAsked('run')}>
          <Icon name="executions" className="size-3.5" />
          Run draft
        </Button>
      )}
      {mayEdit && (
        <>
          <Button size="small" onClick={onEdit}>
            Edit
          </Button>
          <Button size="small" variant="danger" onClick={() => setAsked('discard')}>
            Discard…
          </Button>
          <Button size="small" variant="primary" onClick={() => setAsked('publish')}>
            Publish…
          </Button>
        </>
      )}
      <Dialog
        open={asked === 'run'}
        onOpenChange={close}
        title={`Run draft ${draft.version} of ${pipeline.name}`}
        description={`Version ${pipeline.version} stays what runs by itself.`}
      >
        <RunForm
          pipeline={{
            ...pipeline,
            definition: draft.definition,
            inputs_schema: draft.inputs_schema,
          }}
          version={draft.version}
        />
      </Dialog>
      {asked === 'publish' && <PublishDialog pipeline={pipeline} draft={draft} onClose={close} />}
      {asked === 'discard' && (
        <DiscardDialog pipeline={pipeline} draft={draft} onClose={close} onGone={onGone} />
      )}
    </div>
  )
}

const LONGEST_NOTE = 500

function PublishDialog({ pipeline, draft, onClose }: DraftProps & { onClose: () => void }) {
  const [note, setNote] = useState(draft.note)
  const publish = usePublishDraft(pipeline.id)
  const outdated = isOutdated(pipeline, draft)
  return (
    <ConfirmDialog
      open
      onOpenChange={onClose}
      title={`Publish draft ${draft.version}?`}
      action={outdated ? `Publish over version ${pipeline.version}` : 'Publish it'}
      danger={outdated}
      disabled={publish.isPending}
      error={publish.error}
      onConfirm={() =>
        publish.mutate(
          { draft: draft.version, note: note.trim(), instead: pipeline.version },
          { onSuccess: onClose },
        )
      }
    >
      <p className="text-secondary-foreground">
        New executions run it from then on, in place of version {pipeline.version}. Those under way
        go on as they began.
      </p>
      {outdated && <p className="text-state-retrying">{sinceThen(pipeline, draft)}</p>}
      <label className="flex flex-col gap-1.5 font-medium">
        Note (kept with the version)
        <textarea
          value={note}
          maxLength={LONGEST_NOTE}
          rows={2}
          onChange={(event) => setNote(event.target.value)}
          className="rounded-md border border-input bg-card px-2.5 py-1.5 font-normal"
        />
      </label>
    </ConfirmDialog>
  )
}

type DiscardDialogProps = DraftProps & { onClose: () => void; onGone: () => void }

function DiscardDialog({ pipeline, draft, onClose, onGone }: DiscardDialogProps) {
  const discard = useDiscardDraft(pipeline.id, () => {
    onClose()
    onGone()
  })
  return (
    <ConfirmDialog
      open
      onOpenChange={onClose}
      title={`Discard draft ${draft.version}?`}
      action="Discard it"
      danger
      disabled={discard.isPending}
      error={discard.error}
      onConfirm={() => discard.mutate(draft.version)}
    >
      <p className="text-secondary-foreground">
        It is listed no more and cannot be run. Executions of it go on.
      </p>
    </ConfirmDialog>
  )
}

function isOutdated({ version }: DraftProps['pipeline'], draft: DraftProps['draft']): boolean {
  return draft.based_on !== version
}

function sinceThen({ version }: DraftProps['pipeline'], draft: DraftProps['draft']): string {
  return `It was made from version ${draft.based_on}, and version ${version} was published since: publishing it takes that change back.`
}
