import { type ReactNode, useState } from 'react'
import { CodeBlock } from '@/components/code-block'
import { explain } from '@/components/feedback'
import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { Card, CardHeader } from '@/components/ui/card'
import { useSaveVersion } from '@/features/pipelines/api'
import { DefinitionForm } from '@/features/pipelines/components/definition-form'
import { ApiError, type Schemas } from '@/lib/api'
import { useHasRole } from '@/store/session'
import { toast } from '@/store/toasts'

type Pipeline = Schemas['PipelineDetail']
/** What stands above the text while it is edited, and may replace it. */
type Aid = (source: string, onUse: (source: string) => void) => ReactNode

/** The text of the newest version; editing it makes the next one. */
export function DefinitionTab({ pipeline, aid }: { pipeline: Pipeline; aid?: Aid }) {
  const [editing, setEditing] = useState(false)
  const mayEdit = useHasRole('editor')
  if (editing) return <Editor pipeline={pipeline} aid={aid} onDone={() => setEditing(false)} />
  return (
    <Card>
      <CardHeader
        title={`Version ${pipeline.version}`}
        end={
          mayEdit && (
            <Button size="small" onClick={() => setEditing(true)}>
              Edit
            </Button>
          )
        }
      />
      <div className="p-4">
        <CodeBlock
          title={pipeline.source_format === 'yaml' ? 'YAML' : 'JSON'}
          text={pipeline.source}
          lineNumbers
        />
      </div>
    </Card>
  )
}

type EditorProps = { pipeline: Pipeline; aid: Aid | undefined; onDone: () => void }

function Editor({ pipeline, aid, onDone }: EditorProps) {
  // What is being edited stays as it was opened, even when a newer version arrives meanwhile.
  const [opened] = useState(pipeline)
  const [source, setSource] = useState(opened.source)
  const save = useSaveVersion(opened.id)
  const conflict = save.error instanceof ApiError && [409, 412].includes(save.error.status)
  const changed = source !== opened.source
  return (
    <>
      {aid?.(source, setSource)}
      <DefinitionForm
        title={`Version ${opened.version + 1}`}
        source={source}
        onChange={setSource}
        refusal={
          save.error &&
          (conflict
            ? `${explain(save.error)} Copy your text, cancel, and edit the newest version.`
            : explain(save.error))
        }
        actions={(valid) => (
          <>
            <Button size="small" variant="ghost" onClick={onDone}>
              Cancel
            </Button>
            <Button
              size="small"
              variant="primary"
              disabled={valid !== true || !changed || save.isPending}
              onClick={() =>
                save.mutate(
                  { source, basedOn: opened.version },
                  {
                    onSuccess: ({ version }) => {
                      toast('success', `Saved as version ${version}.`)
                      onDone()
                    },
                  },
                )
              }
            >
              <Icon name="tick" className="size-3.5" />
              {save.isPending ? 'Saving…' : 'Save version'}
            </Button>
          </>
        )}
      />
    </>
  )
}
